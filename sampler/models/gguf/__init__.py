"""Language models of the Llama family, read from GGUF files and run without a compiler or torch.

    reader       the file: metadata and tensors, checked, mapped into memory
    metadata     the metadata by type
    llama        what a Llama-family model needs of them
    tokens       the tokens in the metadata
    tokenizer    the tokenizer in the metadata
    chat         the chat template in the metadata, run by chat_worker in a process of its own
    cache        keys and values of past tokens, shared by requests with the same beginning
    sequences    which tokens of a sequence are in the cache, and why it failed
    network      the forward pass
    model        `GGUFModel`, the model callback

Weights stay quantised in the mapped file. Sums have a fixed shape, so the logits of a sequence are
the same bits alone, in any batch, however its prompt was cut, and with any number of threads.
"""
