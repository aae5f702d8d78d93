"""Firerouter: the OpenRouter backend for Firebase apps.

A room is a package, or a small module that all share. Rooms import only from rooms on lower floors,
and a package only by its face, its `__init__` (tests/unit/test_layers.py reads this drawing):

    11  app            an instance: its parts, and how a deployed function's request reaches them
    10  admin          what admins call: settings, keys, checks of models and keys, live tests
     9  generation     prompts, comparisons and embeddings, from the request to the settled entry
     9  reports        what was spent on what, and what a user may take along or have erased
     8  conversations  a tree of messages in Firestore that clients read live
     7  delivery       a generation on another instance: its progress, its queue, its stop
     7  files          files on their way to a model, images on their way from one
     6  features       a feature's settings, and the models it may use
     6  openrouter     OpenRouter: requests, retries, streams, and what its failures mean
     5  models         the catalog: what OpenRouter offers, at which price
     4  keys           OpenRouter keys in Secret Manager, and the order in which they are used
     4  ledger         an entry for every generation, the counters of every cap
     4  users          who calls, what they prefer, what OpenRouter knows them by
     3  contract       the values of the wire, validated once at the edge
     3  firestore      commits, reads, the audit of admins' changes, paths
     2  background     tasks that go on after their caller has been answered
     2  errors         every failure that a caller can get
     1  cache          a value that is fetched once and served while it is fresh
     1  callable       the wire of Firebase callables: knows nothing of AI
     1  lazy           names that a face offers and imports only when they are used
     1  limits         the bounds of what callers send and admins set
     1  log            one JSON object a line
"""
