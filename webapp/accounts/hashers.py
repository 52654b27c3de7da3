"""How passwords are hashed."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2(Argon2PasswordHasher):
    """Argon2id with the least cost OWASP recommends: 19 MiB, two passes, one lane.

    Django's 100 MiB and eight lanes would let thirty sign-ins at once use 3 GB.
    """

    memory_cost = 19 * 1024
    time_cost = 2
    parallelism = 1
