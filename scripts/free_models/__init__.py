"""Which of OpenRouter's free models answer, and how fast: `./scripts/free-models`."""
