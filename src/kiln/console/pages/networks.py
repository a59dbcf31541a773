"""VPCs, and the vSwitches in them."""

from __future__ import annotations

from kiln.console.nouns import family
from kiln.console.nouns.noun import Does, Noun
from kiln.console.visit import Page

VPCS = Noun(
    name="vpcs",
    action="DescribeVpcs",
    id="VpcId",
    asks="VpcId",
    called="VpcName",
    state="Status",
    columns=("VpcId", "VpcName", "Status", "CidrBlock", "VSwitchIds", "IsDefault", "CreationTime"),
    filters=("VpcName", "VpcId"),
    makes=(Does(action="CreateVpc", first=("VpcName", "CidrBlock", "Description")),),
    does=(
        Does(action="CreateVSwitch", first=("ZoneId", "CidrBlock", "VSwitchName"), made="VSwitchId"),
        Does(action="CreateSecurityGroup", first=("SecurityGroupName", "Description"), made="SecurityGroupId"),
        Does(action="ModifyVpcAttribute", asked=("VpcName", "Description")),
        Does(action="DeleteVpc", is_grave=True, leaves=True),
    ),
)

VSWITCHES = Noun(
    name="vswitches",
    action="DescribeVSwitches",
    id="VSwitchId",
    asks="VSwitchId",
    called="VSwitchName",
    state="Status",
    columns=("VSwitchId", "VSwitchName", "Status", "VpcId", "ZoneId", "CidrBlock", "AvailableIpAddressCount"),
    filters=("VSwitchName", "VSwitchId", "VpcId", "ZoneId"),
    makes=(Does(action="CreateVSwitch", first=("VpcId", "ZoneId", "CidrBlock", "VSwitchName")),),
    does=(
        Does(action="ModifyVSwitchAttribute", asked=("VSwitchName", "Description")),
        Does(action="DeleteVSwitch", is_grave=True, leaves=True),
    ),
)

PAGES: tuple[Page, ...] = (*family.pages(VPCS), *family.pages(VSWITCHES))
