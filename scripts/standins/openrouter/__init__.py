"""A stand-in for OpenRouter: a real HTTP server on loopback that speaks its documented protocol.

It never calls a model. Ordinary model ids get a friendly simulated answer; ids under `sim/`
misbehave in one named way each (`python -m scripts.standins.openrouter --list-faults`).

    __main__     the command line
    app          routes, and the straight line a chat request follows
    account      who a key belongs to, by words inside the key
    asks         a request body, checked and made a value
    catalog      the models, their prices, and which one answers
    completions  an answer as tokens, as chunks, as one body, as usage
    streams      the order of events of an ordinary stream
    behaviours   what each fault does on the wire
    answers      what odd answers say
    faults       the table: model name -> behaviour and one line about it
    refusals     error envelopes, and the statuses that can be asked for by name
    replays      recorded streams, byte for byte
    embeddings   deterministic vectors
    images       pictures of one colour
    record       what was asked and how it ended, without any key
    wire         the one place that touches the connection
"""
