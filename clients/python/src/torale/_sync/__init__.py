"""The synchronous client, generated from the asynchronous one by generate.py: change that one."""
