"""The API reference, written from the code: pages, JSON Schemas and TypeScript types.

    firerouter.contract   models, TypedDicts and the strings below their fields
        -> schemas        one JSON Schema of all of them
        -> pages          Markdown: the schema's tables, the errors, notes/ and examples.json
        -> typescript     the same types for clients

Nothing in docs/reference/ is edited by hand: `./scripts/contract` writes it, and a test checks that
it is up to date. What there is to say about a callable beyond its fields is in notes/. The examples
are in examples.json, and tests/system/test_reference.py runs each of them.
"""
