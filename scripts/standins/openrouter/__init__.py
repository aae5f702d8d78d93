"""A stand-in for OpenRouter: a real HTTP server on loopback that speaks its documented protocol.

It never calls a model. Ordinary model IDs get a friendly simulated answer; each ID under `sim/`
misbehaves in one named way (`python -m scripts.standins.openrouter --list-faults`).

    __main__          the command line
    routes            the endpoints, and the straight line that a chat request follows
    accounts          the account of a key, according to words inside the key
    chat_requests     a chat request: validated, as a value
    model_catalog     the models, their prices, and which one serves a request
    completions       an answer as tokens, as chunks, as one body, as usage
    streams           the order of events of an ordinary stream
    faults            the table: model name -> behavior and one line about it
    behaviors         what each fault does on the wire
    odd_answers       what odd answers say
    odd_charges       what is odd about a charge
    error_responses   error envelopes, and the statuses that a model name selects
    provider_refusals  refusals whose reason is in raw, in availability, in words, in a date
    key_leaks         keys that make errors quote them
    recordings        recorded streams, byte for byte
    vectors           deterministic embeddings
    image_generation  images of one color
    request_log       the requests and how they ended, without any key
    wire              the only place that touches the connection
"""
