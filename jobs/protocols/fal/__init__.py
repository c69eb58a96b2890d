"""fal’s own protocol: queue, direct runs, streams, webhooks, storage, and the proxy protocol of its browser client."""
