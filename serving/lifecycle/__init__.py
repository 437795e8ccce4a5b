"""Model versions from discovery to unload: base paths and a model configuration in, servables out."""
