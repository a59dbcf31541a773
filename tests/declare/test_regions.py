"""The usual regions of ECS."""

from __future__ import annotations

from kiln.declare.regions import LANGUAGES, USUAL_REGIONS, is_region_id, zone_name, zones_of


def test_each_has_an_id_names_and_zones_of_its_own():
    zones = [zone for region in USUAL_REGIONS for zone in zones_of(region)]

    assert all(map(is_region_id, USUAL_REGIONS))
    assert all(map(is_region_id, zones))
    assert len(set(zones)) == len(zones)
    for language in LANGUAGES:
        names = [region.name_in(language) for region in USUAL_REGIONS.values()]
        assert len(set(names)) == len(names)
        zone_names = [zone_name(region, zone, language) for region in USUAL_REGIONS for zone in zones_of(region)]
        assert len(set(zone_names)) == len(zone_names)


def test_one_of_the_operators_own_has_one_zone():
    assert zones_of("cn-qingdao-env17-d01") == ("cn-qingdao-env17-d01-a",)
    assert zone_name("cn-qingdao-env17-d01", "cn-qingdao-env17-d01-a", "en-US") == "cn-qingdao-env17-d01-a"
