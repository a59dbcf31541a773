"""``kiln image``: import, create, look at, export and delete images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kiln.cli import exits, output, uploads, waiting
from kiln.cli.exits import Refusal
from kiln.cli.grammar import (
    DEFAULT_TIMEOUT_S,
    Data,
    DryRun,
    Force,
    Json,
    Region,
    Tags,
    Timeout,
    Wait,
    example,
    group,
    to_parts,
    to_tags,
    without_empty,
)
from kiln.cli.output import Column
from kiln.cli.session import find_data_folder, open_client
from kiln.cli.several import end, try_each
from kiln.cli.uploads import Upload
from kiln.client import waiters
from kiln.client.client import Client
from kiln.client.waiters import WaitFailed

app = group()

COLUMNS = (
    Column("IMAGE", "ImageId"),
    Column("NAME", "ImageName"),
    Column("STATUS", "Status"),
    Column("DONE", "Progress"),
    Column("GIB", "Size"),
    Column("PLATFORM", "Platform"),
    Column("ARCH", "Architecture"),
    Column("CREATED", "CreationTime"),
)

#: A name that ends in .raw or .img claims nothing: every file is some raw disk.
_FORMATS = {".qcow2": "QCOW2", ".vhd": "VHD", ".vmdk": "VMDK"}

_MAPPING = {"snapshot": "SnapshotId", "size": "Size", "type": "DiskType", "device": "Device"}

Image = Annotated[str, typer.Argument(help="The ID of the image.", metavar="IMAGE")]
Images = Annotated[list[str], typer.Argument(help="The IDs of the images.", metavar="IMAGE")]
Name = Annotated[
    str | None, typer.Option("--name", help="The name of the image, unique in the region.", metavar="NAME")
]
Description = Annotated[str | None, typer.Option("--description", help="What the image is for.", metavar="TEXT")]
Platform = Annotated[
    str | None,
    typer.Option("--platform", help="The operating system, such as Debian or 'Windows Server 2022'.", metavar="NAME"),
]
Architecture = Annotated[str | None, typer.Option("--architecture", help="x86_64, i386 or arm64.", metavar="CPU")]
BootMode = Annotated[str | None, typer.Option("--boot-mode", help="BIOS, UEFI or UEFI-Preferred.", metavar="MODE")]
OfInstance = Annotated[
    str | None, typer.Option("--instance", help="Make it of all disks of this instance.", metavar="INSTANCE")
]
OfSnapshot = Annotated[
    str | None, typer.Option("--snapshot", help="Make it of this system disk's snapshot.", metavar="SNAPSHOT")
]
OfDisks = Annotated[
    list[str] | None,
    typer.Option(
        "--disk",
        metavar="SPEC",
        help="Make it of several disks, one each time: snapshot=ID,size=GIB,type=system|data,device=NAME.",
    ),
]
Family = Annotated[
    str | None, typer.Option("--family", help="The family that it becomes the newest of.", metavar="FAMILY")
]
File = Annotated[
    Path | None,
    typer.Argument(
        help="A disk image of this machine: raw, qcow2, VHD or VMDK, also compressed by gzip, xz, bzip2 or zstd, or an "
        "OVA of one disk.",
        metavar="FILE",
    ),
]
FromBucket = Annotated[
    str | None, typer.Option("--bucket", help="Instead of FILE: the bucket that it lies in.", metavar="BUCKET")
]
FromObject = Annotated[
    str | None, typer.Option("--object", help="Instead of FILE: its name in the bucket.", metavar="NAME")
]
SourceFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        help="RAW, QCOW2, VHD or VMDK, of a packed file what is inside; else what .qcow2, .vhd or .vmdk at the name's "
        "end says, or what is found.",
        metavar="FORMAT",
    ),
]
OsType = Annotated[str | None, typer.Option("--os-type", help="linux or windows.", metavar="TYPE")]
ToBucket = Annotated[
    str | None,
    typer.Option(
        "--bucket", help="The bucket to write to; else one of your own in the Kiln on this machine.", metavar="BUCKET"
    ),
]
Prefix = Annotated[str | None, typer.Option("--prefix", help="What the object's name begins with.", metavar="TEXT")]
TargetFormat = Annotated[str, typer.Option("--format", help="raw, qcow2, vhd, vmdk or vdi.", metavar="FORMAT")]
ToFile = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Move the system disk's object to this file when it is written.", metavar="FILE"
    ),
]
OfName = Annotated[
    str | None, typer.Option("--name", help="Only images of this name; * stands for any characters.", metavar="NAME")
]
Statuses = Annotated[
    str, typer.Option("--status", help="Only images in these states, comma-separated.", metavar="STATUS")
]
WithSnapshots = Annotated[
    bool, typer.Option("--with-snapshots", help="Delete the snapshots that it is made of as well.")
]


@app.command("create", epilog=example("kiln image create --instance i-bp1g6zv0ce8oghu7k2d3 --name web-1"))
def create_image(
    *,
    instance: OfInstance = None,
    snapshot: OfSnapshot = None,
    disk: OfDisks = None,
    name: Name = None,
    family: Family = None,
    description: Description = None,
    platform: Platform = None,
    architecture: Architecture = None,
    boot_mode: BootMode = None,
    tag: Tags = None,
    dry_run: DryRun = False,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make an image of an instance, of snapshots, or of one snapshot, and print its ID.

    The instance may be running: its disks are captured at one instant, and it goes on.
    """
    if not (instance or snapshot or disk):
        raise typer.BadParameter("give --instance, --snapshot or --disk")
    params = {
        "InstanceId": instance,
        "SnapshotId": snapshot,
        "DiskDeviceMapping": [to_parts(spec, _MAPPING) for spec in disk or ()],
        "ImageName": name,
        "ImageFamily": family,
        "Description": description,
        "Platform": platform,
        "Architecture": architecture,
        "BootMode": boot_mode,
        "Tag": to_tags(tag),
        "DryRun": dry_run,
    }
    with open_client(region) as client:
        answer = client.call("CreateImage", without_empty(params))
        if wait_for_it:
            waiting.wait_for_outcome(client, "CreateImage", "image", answer["ImageId"], timeout)
        output.show_made(answer, answer["ImageId"], as_json=as_json)


_IMPORT_EXAMPLE = example(
    "kiln image import debian-12.qcow2 --name debian-12 --platform Debian",
    "kiln image import --bucket images --object debian-12.raw --name debian-12",
)


@app.command("import", epilog=_IMPORT_EXAMPLE)
def import_image(
    *,
    file: File = None,
    bucket: FromBucket = None,
    name_in_bucket: FromObject = None,
    disk_format: SourceFormat = None,
    name: Name = None,
    description: Description = None,
    platform: Platform = None,
    architecture: Architecture = None,
    boot_mode: BootMode = None,
    os_type: OsType = None,
    tag: Tags = None,
    data: Data = None,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make an image of a disk image file, and print its ID.

    The API takes images from buckets only, and has no way to upload. FILE is
    therefore put into the caller's bucket `uploads-...` of the Kiln on this machine, which
    KILN_DATA or --data names, and taken away after the import. A file that lies
    in a bucket already is named by --bucket and --object.
    """
    if bool(bucket) != bool(name_in_bucket) or bool(file) == bool(bucket):
        raise typer.BadParameter("give either FILE, or --bucket and --object")
    with open_client(region) as client:
        upload = (
            uploads.put(file, find_data_folder(data), uploads.uploads_of(client.pseudonym))
            if file is not None
            else None
        )
        mapping = {
            "OSSBucket": upload.bucket if upload else bucket,
            "OSSObject": upload.object if upload else name_in_bucket,
            "Format": disk_format.upper() if disk_format else _format_of(file or Path(name_in_bucket or "")),
        }
        params = {
            "ImageName": name,
            "Description": description,
            "Platform": platform,
            "Architecture": architecture,
            "BootMode": boot_mode,
            "OSType": os_type,
            "Tag": to_tags(tag),
            "DiskDeviceMapping": [without_empty(mapping)],
        }
        answer = _import(client, without_empty(params), upload, timeout if wait_for_it else None)
        output.show_made(answer, answer["ImageId"], as_json=as_json)


@app.command("list", epilog=example("kiln image list --status Available --name 'web-*'"))
def list_images(*, name: OfName = None, status: Statuses = "ALL", region: Region = None, as_json: Json = False) -> None:
    """List images, the newest first."""
    params = {"ImageName": name, "Status": status}
    with open_client(region) as client:
        output.show_rows(client.rows("DescribeImages", without_empty(params)), COLUMNS, as_json=as_json)


@app.command("show", epilog=example("kiln image show m-bp146shijn7hujku8a5c"))
def show_image(image: Image, *, region: Region = None, as_json: Json = False) -> None:
    """Show all that is known of an image."""
    with open_client(region) as client:
        output.show_found(waiters.find(client, "image", image), f"image {image}", as_json=as_json)


@app.command("export", epilog=example("kiln image export m-bp146shijn7hujku8a5c --format qcow2 --output web-1.qcow2"))
def export_image(
    image: Image,
    *,
    bucket: ToBucket = None,
    prefix: Prefix = None,
    disk_format: TargetFormat = "raw",
    to_file: ToFile = None,
    data: Data = None,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Write an image to a bucket, and print the names of the objects (or the task's ID, without waiting)."""
    if to_file is not None and not wait_for_it:
        raise typer.BadParameter("--output needs the wait")
    if to_file is not None:
        uploads.require_place(to_file)
    with open_client(region) as client:
        folder = find_data_folder(data)
        if bucket is None or to_file is not None:
            bucket = bucket or uploads.exports_of(client.pseudonym)
            uploads.bucket_folder(folder, bucket)
        params = {"ImageId": image, "OSSBucket": bucket, "OSSPrefix": prefix, "ImageFormat": disk_format}
        answer = client.call("ExportImage", without_empty(params))
        names = [answer["TaskId"]]
        if wait_for_it:
            names = _objects(waiting.wait(client, "task", answer["TaskId"], "Finished", timeout) or {})
        if to_file is not None and names:
            uploads.take(folder, bucket, names[0], to_file)
            names[0] = str(to_file)
        output.show_made(answer, *names, as_json=as_json)


@app.command("delete", epilog=example("kiln image delete m-bp146shijn7hujku8a5c --with-snapshots"))
def delete_images(
    images: Images,
    *,
    force: Force = False,
    with_snapshots: WithSnapshots = False,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Delete images. Their snapshots stay, unless --with-snapshots is given."""
    with open_client(region) as client:
        answers, failed = try_each(images, lambda it: _delete(client, it, force=force, with_snapshots=with_snapshots))
    output.show_made([answer for some in answers.values() for answer in some], as_json=as_json)
    end(failed)


def _delete(client: Client, image: str, *, force: bool, with_snapshots: bool) -> list[dict[str, Any]]:
    """What each call answered: of the image, then of its snapshots."""
    found = (waiters.find(client, "image", image) if with_snapshots else None) or {}
    answers = [client.call("DeleteImage", without_empty({"ImageId": image, "Force": force}))]
    disks = found.get("DiskDeviceMappings", {}).get("DiskDeviceMapping", [])
    snapshots = [disk["SnapshotId"] for disk in disks if disk["SnapshotId"]]
    return answers + [client.call("DeleteSnapshot", SnapshotId=snapshot) for snapshot in snapshots]


def _format_of(file: Path) -> str | None:
    """The format that the file's name claims, so that what is no such file, as a failed download, is refused."""
    return _FORMATS.get(file.suffix.lower())


def _import(client: Client, params: dict[str, Any], upload: Upload | None, timeout_s: float | None) -> dict[str, Any]:
    """Import, and wait unless *timeout_s* is None; what was put into a bucket for it stays as long as it is needed."""
    is_needed = False
    try:
        answer = client.call("ImportImage", params)
        is_needed = True
        if timeout_s is not None:
            _wait_for_import(client, answer, timeout_s)
            is_needed = False
    except WaitFailed as error:
        is_needed = False
        failed = answer["ImageId"]
        hint = f"{failed} stays in the list with its name until `kiln image delete {failed}`."
        raise Refusal(str(error), exits.FAILED_LATER, hint) from error
    finally:
        if upload is not None and is_needed:
            output.note(f"{upload.path} is read until the import's task is Finished; then it may be removed.")
        elif upload is not None:
            upload.remove()
    return answer


def _wait_for_import(client: Client, answer: dict[str, Any], timeout_s: float) -> None:
    """Wait for the image; where it fails, the task tells why."""
    try:
        waiting.wait_for_outcome(client, "ImportImage", "image", answer["ImageId"], timeout_s)
    except WaitFailed:
        waiters.wait(client, "task", answer["TaskId"], "Finished", timeout_s=timeout_s)
        raise


def _objects(task: dict[str, Any]) -> list[str]:
    """The names of the objects that an export wrote, the system disk's first."""
    steps = task.get("OperationProgressSet", {}).get("OperationProgress", [])
    items = [item for step in steps for item in step.get("RelatedItemSet", {}).get("RelatedItem", [])]
    return [item["Value"] for item in items if item["Name"] == "OSSObject"]
