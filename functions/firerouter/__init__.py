"""Firerouter: the OpenRouter backend for Firebase apps.

Imports point down only (a test reads this drawing):

    triggers                             requests of Google's own: a schedule's, a task's
    serving                              a deployed function's request
    bootstrap                            builds everything, once an instance
    livetest  compare  appconfig  checkup   use cases that take another one's parts
    generate  configure  connection  browse  keyring   use cases
    profile  archive  stopping  reconcile
    asides                               titles and summaries, asked beside an answer
    running  following                   a generation on this instance; one on another
    responses  choice  revisions         kept answers; which models are asked; how features change
    catalog                              every model, wherever the list is kept
    handover                             a generation on its way to the task queue's function
    identity  ledger  openrouter  stops  progress  taskqueue   what they talk to, one library each
    books                                the ledger's documents, and what ends and corrects them
    capabilities                         settings held against what models can do, pure
    prompts  quotas  models              pure
    features  appsettings  keys  preferences  conversations   settings, secrets, history
    keyslots                             which keys serve whom, and in which order
    audit                                an admin's change and its entry, in one commit
    history                              what a model is told of a conversation
    settings  threads                    what may be set of a feature; a place in a conversation
    admincontract                        what admins send
    contract                             what callers send
    errors  limits  log  cached  commits  environment   the floor
    callable                             the wire: knows nothing of AI
"""
