"""What lies in the broker's queue and is no message is thrown away with a word in the log. Left to itself kombu lets
it end the whole worker, and with it a day's training."""

import logging
import time
from queue import Empty
from typing import Any

from kombu.transport import redis

REFUSED_SECONDS = 1.0

log = logging.getLogger(__name__)


class Channel(redis.Channel):
    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except (ValueError, TypeError, AttributeError) as error:
            log.warning("The broker handed over what is no message; it is thrown away: %r", error)
            raise Empty from error
        except self.ResponseError as error:
            # Its queue is of another type, or it has no memory left: that stays so, and needs no ten tries a second.
            log.warning("The broker refuses to hand over messages; trying again: %s", error)
            time.sleep(REFUSED_SECONDS)
            raise


def garbage_refuse() -> None:
    """From now on, in this process."""
    redis.Transport.Channel = Channel
