"""The step ``ssl_finetune``."""
