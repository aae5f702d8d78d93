"""What `execute_prompt` costs beside a bare relay and beside the upstream: `./scripts/bench`."""
