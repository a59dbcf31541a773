"""The sections of a campaign, in the order in which they are tried."""

from __future__ import annotations

from torment.campaign import Section
from torment.sections import clocks, files, forged, guests, hosts, http, pages, power, spelling, steps

SECTIONS = {
    section.name: section
    for section in (
        Section(
            "pages", "pages of the database that a disk lost, tore or brought back from before", 1000, 60, pages.run
        ),
        Section("power", "power cuts, whatever a disk's cache kept back of what was written", 150, 6, power.run),
        Section("files", "disk files with damage in their headers and tables", 1500, 80, files.run),
        Section("clocks", "clocks that are set back and forward", 800, 200, clocks.run),
        Section("steps", "every step of what is carried out, begun twice and failing once", 1200, 40, steps.run),
        Section("hosts", "hosts on one database and pool that die, stand still and are cut off", 1000, 200, hosts.run),
        Section("forged", "requests that somebody on the way has touched", 4000, 1500, forged.run),
        Section("spelling", "parameters spelled in every way", 3000, 1500, spelling.run),
        Section("guests", "a hundred hostile machines beside one that is well", 300, 24, guests.run),
        Section("http", "hostile connections beside a healthy client", 100, 13, http.run),
    )
}
