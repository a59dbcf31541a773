#!/bin/sh
# Makes an environment that was made below the folder $1 one of the place $2, where it will be.
set -eu
tree=$1 home=$2
environment=$tree$home
# What it was made with, and words of others that would be called by nobody.
find "$environment/bin" -mindepth 1 ! -name 'python*' ! -name kiln -delete
rm -rf "$environment"/lib/python3*/site-packages/pip "$environment"/lib/python3*/site-packages/pip-*
rm -rf "$environment/include" "$environment/share"
# Where it was made is written into these.
rm -f "$environment"/lib/python3*/site-packages/kiln-*.dist-info/direct_url.json
sed -i '/^command = /d' "$environment/pyvenv.cfg"
# Python would show where it was when Ctrl-C comes while it begins: kiln.cli.start lets it come when it can be quiet.
sed -i "1s:^#!.*:#!/usr/bin/env -S --block-signal=INT $home/bin/python3:" "$environment/bin/kiln"
mkdir -p "$tree/usr/bin"
ln -s "..${home#/usr}/bin/kiln" "$tree/usr/bin/kiln"
# Else each start compiles all that it imports, where it may not write it down. The files are never changed in their
# place, so Python need not look whether they were. The environment's own interpreter would import some of it first, and
# leave bytecode that is looked after.
find "$environment" -name __pycache__ -prune -exec rm -rf {} +
/usr/bin/python3 -I -m compileall -q -j 0 --invalidation-mode unchecked-hash \
    -s "$tree" -p / "$environment/lib" || true
