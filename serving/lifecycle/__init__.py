"""Model versions from discovery to unload: a model configuration in, loaded servables out."""
