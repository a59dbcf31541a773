"""``kiln image``: import, create, show, copy, share, export and delete images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from kiln.cli import imports, output, remote, uploads
from kiln.cli.declared import Given, Takes, declared
from kiln.cli.ending import orderly
from kiln.cli.grammar import DEFAULT_TIMEOUT_S, Data, Json, Region, Timeout, Wait, example, group
from kiln.cli.listings import listing
from kiln.cli.making import make
from kiln.cli.output import Column, mark
from kiln.cli.session import find_buckets, open_client
from kiln.cli.several import end, try_each
from kiln.cli.showing import showing
from kiln.cli.waiting import Begun, wait
from kiln.cli.words import sharing
from kiln.client import waiters
from kiln.client.client import Client

app = group()


def _is_encrypted(image: Mapping[str, Any]) -> bool:
    return any(disk["Encrypted"] for disk in image["DiskDeviceMappings"]["DiskDeviceMapping"])


COLUMNS = (
    Column("IMAGE", "ImageId"),
    Column("NAME", "ImageName", is_prose=True),
    Column("STATUS", "Status"),
    Column("DONE", "Progress"),
    Column("GIB", "Size"),
    Column("CREATED", "CreationTime"),
    Column("PLATFORM", "Platform"),
    Column("ARCH", "Architecture"),
    mark("ENCRYPTED", _is_encrypted),
    Column("OWNER", "ImageOwnerId", when=lambda row: row["ImageOwnerAlias"] != "self"),
)

File = Annotated[
    Path | None,
    typer.Argument(
        help="A disk image of this machine: raw, qcow2, VHD or VMDK, also compressed by gzip, xz, bzip2 or zstd, or an "
        "OVA of one disk.",
        metavar="FILE",
    ),
]
FromUrl = Annotated[
    str | None,
    typer.Option(
        "--url", help="Instead of FILE: fetch it by HTTP or HTTPS; a connection that breaks is taken up.", metavar="URL"
    ),
]
Digest = Annotated[
    str,
    typer.Option(
        "--digest", help="What the file of --url must have: sha256:, sha512:, sha1: or md5: and it.", metavar="DIGEST"
    ),
]
Sample = Annotated[
    bool,
    typer.Option("--sample", help="Instead of FILE: a small guest that obeys `kiln instance shell INSTANCE`."),
]
ToBucket = Annotated[
    str | None,
    typer.Option("--bucket", help="The bucket to write to; else one of your own.", metavar="BUCKET"),
]
ToFile = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", help="Move the system disk's object to this file when it is written.", metavar="FILE"
    ),
]
WithSnapshots = Annotated[
    bool, typer.Option("--with-snapshots", help="Delete the snapshots that it is made of as well.")
]


CREATE = Takes(
    "CreateImage",
    names={
        "DiskDeviceMapping": "disk",
        "Features.ImdsSupport": "imds-support",
        "Features.NvmeSupport": "nvme-support",
        "SecureBootOptions.SecureBootSupport": "secure-boot",
    },
)


@declared(app, "create", CREATE, example("kiln image create --instance i-bp1g6zv0ce8oghu7k2d3 --name web-1"))
def create_image(
    given: Given,
    *,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make an image of an instance, of snapshots, or of one snapshot, and print its ID.

    The instance may be running: its disks are captured at one instant, and it goes on.
    """
    if not given.params.keys() & {"InstanceId", "SnapshotId", "DiskDeviceMapping"}:
        raise typer.BadParameter("give --instance, --snapshot or --disk")
    make(given, "image", region=region, timeout_s=timeout if wait_for_it else None, as_json=as_json)


_IMPORT_EXAMPLE = example(
    "kiln image import debian-12.qcow2 --name debian-12 --platform Debian",
    "kiln image import --bucket images --object debian-12.raw --name debian-12",
    "kiln image import --url https://example.com/debian-12.qcow2 --name debian-12",
    "kiln image import --sample --name sample",
)


IMPORT = Takes(
    "ImportImage",
    names={
        "DiskDeviceMapping": "disk",
        "DiskDeviceMapping.OSSBucket": "bucket",
        "DiskDeviceMapping.OSSObject": "object",
        "DiskDeviceMapping.Format": "format",
        "DiskDeviceMapping.DiskImageSize": "size",
        "Features.ImdsSupport": "imds-support",
        "Features.NvmeSupport": "nvme-support",
    },
    left_out={"StorageLocationArn": "there is no CloudBox, and the service refuses it"},
    first="DiskDeviceMapping",
)


@declared(app, "import", IMPORT, _IMPORT_EXAMPLE)
def import_image(
    given: Given,
    *,
    file: File = None,
    url: FromUrl = None,
    digest: Digest = "",
    sample: Sample = False,
    data: Data = None,
    region: Region = None,
    wait_for_it: Wait = True,
    timeout: Timeout = DEFAULT_TIMEOUT_S,
    as_json: Json = False,
) -> None:
    """Make an image of a disk image file, and print its ID.

    The API takes images from buckets only. FILE is therefore put into the
    caller's bucket `uploads-...`, and taken away after the import; so is what
    --url or --sample brings. Where KILN_DATA or --data names the data folder of the
    Kiln on this machine, that is a link or a copy; to a Kiln elsewhere it is sent. A
    file that lies in a bucket already is named by --bucket and --object.
    """
    named = given.first.keys() & {"OSSBucket", "OSSObject"}
    if (file is not None) + (url is not None) + sample + bool(named) != 1 or len(named) == 1:
        raise typer.BadParameter("give one of FILE, --url, --sample, and --bucket with --object")
    if digest and url is None:
        raise typer.BadParameter("--digest is that of a --url")
    with orderly(), open_client(region) as client:
        folder = find_buckets(data)
        if not named and not given.params.get("ClientToken"):
            # Who asks again by a token is answered with the image that has the name.
            imports.require_free_name(client, given.params.get("ImageName"))
        is_dry = bool(given.params.get("DryRun"))
        with imports.uploaded(
            client, folder, file=file, url=url, digest=digest, sample=sample, is_dry=is_dry
        ) as upload:
            claimed = imports.format_of(file.name if file else imports.name_of(url or given.first.get("OSSObject", "")))
            own = {"Platform": "Debian"} if sample else {}
            known = {"Format": "QCOW2" if sample else claimed, **given.first}
            params = imports.disk_first({**own, **given.params}, known, upload)
            imports.import_image(client, params, upload, timeout if wait_for_it else None, as_json=as_json)


listing(
    app,
    Takes("DescribeImages", defaults={"Status": "ALL"}),
    COLUMNS,
    "List images, the newest first.",
    "kiln image list --status Available --name 'web-*'",
)


showing(
    app,
    "image",
    "Show all that is known of an image, and why it failed or waits.",
    "kiln image show m-bp146shijn7hujku8a5c",
)


EXPORT = Takes(
    "ExportImage",
    arguments=("ImageId",),
    names={"OSSPrefix": "prefix"},
    own={"OSSBucket": "--bucket, since without one a bucket of the caller's own will do"},
)


@declared(
    app, "export", EXPORT, example("kiln image export m-bp146shijn7hujku8a5c --format qcow2 --output web-1.qcow2")
)
def export_image(
    given: Given,
    *,
    bucket: ToBucket = None,
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
        folder = find_buckets(data)
        if bucket is None or to_file is not None:
            is_own = bucket is None
            bucket = bucket or uploads.exports_of(client.pseudonym)
            if folder is not None:
                uploads.bucket_folder(folder, bucket)
            elif is_own:
                client.objects.make_bucket(bucket)
        answer = client.call("ExportImage", {**given.resolved(client), "OSSBucket": bucket})
        task = answer["TaskId"]
        names = [task]
        if wait_for_it:
            output.note(f"{task} writes it")
            begun = Begun("task", task, "Finished", f"kiln task cancel {task}")
            names = remote.objects_of(wait(client, begun, timeout) or {})
        if to_file is not None and names:
            names[0] = str(_take(client, folder, bucket, names[0], to_file))
        elif wait_for_it:
            output.note(f"in the bucket {bucket}" + uploads.where(folder, bucket))
        output.show_made(answer, *names, as_json=as_json)


def _take(client: Client, folder: Path | None, bucket: str, name: str, to_file: Path) -> Path:
    """Move what was written to a bucket to a file, or into a folder, of this machine: where it is then."""
    if folder is None:
        return remote.take(client, bucket, name, to_file)
    return uploads.take(folder, bucket, name, to_file)


sharing.add_to(app)


DELETE = Takes("DeleteImage", arguments=("ImageId",), is_of_several=True)


@declared(app, "delete", DELETE, example("kiln image delete m-bp146shijn7hujku8a5c --with-snapshots"))
def delete_images(
    given: Given,
    *,
    with_snapshots: WithSnapshots = False,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Delete images. Their snapshots stay, unless --with-snapshots is given."""
    with open_client(region) as client:
        answers, failed = try_each(given.several, lambda it: _delete(client, given, it, with_snapshots=with_snapshots))
    output.show_made([answer for some in answers.values() for answer in some], as_json=as_json)
    end(failed)


def _delete(client: Client, given: Given, named: str, *, with_snapshots: bool) -> list[dict[str, Any]]:
    """What each call answered: of the image, then of its snapshots."""
    image = given.id_of(client, named)
    found = (waiters.find(client, "image", image) if with_snapshots else None) or {}
    answers = [given.call(client, image)]
    disks = found.get("DiskDeviceMappings", {}).get("DiskDeviceMapping", [])
    snapshots = [disk["SnapshotId"] for disk in disks if disk["SnapshotId"]]
    return answers + [client.call("DeleteSnapshot", SnapshotId=snapshot) for snapshot in snapshots]
