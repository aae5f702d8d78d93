"""Firerouter: the OpenRouter backend for Firebase apps.

Imports point down only (a test reads this drawing):

    bootstrap                            builds everything, once an instance
    livetest  appconfig  checkup         use cases that take another one's parts
    dispatch                             any user's callable by its name
    generate  configure  connection  browse  keyring   use cases
    profile  archive  stopping  reconcile
    running  following                   a generation on this instance; one on another
    attaching                            files on their way to a model
    responses  choice  revisions         kept answers; which models are asked; how features change
    catalog                              every model, wherever the list is kept
    identity  ledger  openrouter  stops  progress   what they talk to, one foreign library each
    books                                the ledger's documents, and what ends and corrects them
    capabilities                         settings held against what models can do, pure
    prompts  quotas  models              pure
    features  appsettings  keys  preferences  conversations   settings, secrets, history
    uploads  allowance                   files, and how many of them
    keyslots                             which keys serve whom, and in which order
    audit                                an admin's change and its entry, in one commit
    settings  threads                    what may be set of a feature; a place in a conversation
    admincontract                        what admins send
    contract                             what callers send
    attachments                          what may go with a prompt, and what becomes of it, pure
    clients  records                     Google's services at their addresses; what JSON values are
    errors  limits  log  cached  commits  environment   the floor
    callable                             the wire: knows nothing of AI
"""
