"""Calls a Kiln over HTTP. Knows the catalogue of operations and nothing of the program behind it.

client = Client("http://127.0.0.1:8787", key_id, key_secret, region)
image = client.call("CreateImage", SnapshotId="s-...", ImageName="web")["ImageId"]
waiters.wait(client, "image", image, until="Available")
"""
