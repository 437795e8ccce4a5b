"""One client for both servers, the embedded one and TensorFlow Serving, over gRPC and REST.

    with Client("127.0.0.1:8500") as client:
        for item in client.recommend([Event("1082185", "purchase", 1500000000)], k=10):
            print(item.item_id, item.title, item.score)

    async with AsyncClient("127.0.0.1:8500") as client:
        items = await client.recommend([Event("1082185", "purchase", 1500000000)], k=10)

Importing this package takes 0.5 s and does not import TensorFlow.
"""

from serving.client.canary import Canary
from serving.client.client import AsyncClient, Client
from serving.client.connection import CallError
from serving.client.model_info import Signature, Tensor, VersionStatus
from serving.client.tls import Tls
from serving.client.types import Event, Item, Probabilities, Recommendation

__all__ = [
    "AsyncClient",
    "CallError",
    "Canary",
    "Client",
    "Event",
    "Item",
    "Probabilities",
    "Recommendation",
    "Signature",
    "Tensor",
    "Tls",
    "VersionStatus",
]
