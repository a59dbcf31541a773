"""What is served of OSS over the buckets: who asks, what for, and how the answer is spelled. Knows no asyncio."""
