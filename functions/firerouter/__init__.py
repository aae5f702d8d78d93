"""Firerouter: the OpenRouter backend for Firebase apps.

Imports point down only (a test reads this drawing):

    triggers                             requests of Google's own: a schedule's, a task's
    serving                              a deployed function's request
    bootstrap                            builds everything, once an instance
    stores                               what it talks to
    livetest  compare  appconfig  checkup   use cases that take another one's parts
    dispatch                             any user's callable by its name
    generate  embed  configure  connection  browse  keyring   use cases
    profile  archive  stopping  reconcile
    asking  answering                    what is asked; how an admitted generation is answered
    asides                               titles and summaries, asked beside an answer
    running  following                   a generation on this instance; one on another
    attaching  gallery                   files on their way to a model; images on their way from one
    removals                             conversations deleted, with all that they hold
    responses  choice  revisions         kept answers; which models are asked; how features change
    catalog                              every model, wherever the list is kept
    handover                             a generation on its way to the task queue's function
    identity  ledger  openrouter  stops  progress  taskqueue   what they talk to, one library each
    books                                the ledger's documents, and what ends and corrects them
    estimates                            what an answer may cost at most, pure
    capabilities                         settings held against what models can do, pure
    prompts  quotas  models  judging     pure
    features  appsettings  keys  preferences  conversations  pseudonyms   settings, secrets, history
    uploads  allowance  holding          files, how many of them, and those in memory
    keyslots                             which keys serve whom, and in which order
    audit                                an admin's change and its entry, in one commit
    history                              what a model is told of a conversation
    settings  threads                    what may be set of a feature; a place in a conversation
    admincontract                        what admins send
    contract                             what callers send
    tools  formats                       what an app declares, and what a model asks for, pure
    placing                              turns, and the places of files in them, pure
    readings                             what OpenRouter read of PDFs, to be sent back
    routing                              where a prompt may go, pure
    images                               what is asked of images, and told of them, pure
    attachments                          what may go with a prompt, and what becomes of it, pure
    schemas  jsonvalues  records  fields  ids   JSON Schema; JSON that a document holds; values
    clients  shutdown                    Google's services; an instance that goes down
    errors  limits  log  cached  commits  environment   the floor
    callable                             the wire: knows nothing of AI
"""
