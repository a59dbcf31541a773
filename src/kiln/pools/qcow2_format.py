"""The qcow2 format's own figures: fields, feature bits, entries of tables and bounds.

They are those of QEMU's ``docs/interop/qcow2.txt``, and the bounds at the end are
what QEMU opens. What Kiln writes, and what it demands of a file, is said where
it is done: in ``overlay`` and ``soundness`` of volumes, in ``foreign_qcow2`` of
files from outside.
"""

from __future__ import annotations

import struct

from kiln.ground.units import MiB

MAGIC = b"QFI\xfb"

#: Magic, version, backing offset, backing length, cluster bits, size, encryption, L1 entries, L1 offset, refcount table
#: offset, its clusters, snapshots, their offset.
HEADER_OF_VERSION_2 = struct.Struct(">4sIQIIQIIQQIIQ")
#: What version 3 has behind it: incompatible, compatible, autoclear features, refcount order, header length.
FEATURES = struct.Struct(">QQQII")
HEADER = struct.Struct(HEADER_OF_VERSION_2.format + FEATURES.format.removeprefix(">"))  #: Of version 3.
COMPRESSION_TYPE = 104  #: Where a header that is longer names it, in a byte: 0 is deflate, 1 zstd.

#: Incompatible features: the file was not closed, is damaged, has its data in another file, names how its clusters are
#: compressed, has subclusters.
DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED_L2 = (1 << bit for bit in range(5))

EXTENSION = struct.Struct(">II")  #: Kind and length; its data are padded to 8 bytes.
EXTENSION_END = 0
EXTENSION_BACKING_FORMAT = 0xE2792ACA
EXTENSION_FEATURE_NAMES = 0x6803F857
EXTENSION_DATA_FILE = 0x44415441
EXTENSION_ENCRYPTION = 0x0537BE77

ENCRYPTED_BY_LUKS = 2  #: The header's word on encryption; 0 is none, 1 a way of old.

#: Of an entry in a table of clusters: where it leads to, and what the other bits say.
OFFSET = 0x00FFFFFFFFFFFE00
COPIED, COMPRESSED, ZERO = 1 << 63, 1 << 62, 1
SUBCLUSTERS = 32  #: Of one cluster, where there are any.

BACKING_NAME_MAX = 1023  #: Bytes.
CLUSTER_BITS_LEAST, CLUSTER_BITS_MOST = 9, 21
L1_BYTES_MOST = 32 * MiB
REFCOUNT_TABLE_BYTES_MOST = 8 * MiB
