"""The synchronous client, made from the asynchronous one by generate.py: change that one."""
