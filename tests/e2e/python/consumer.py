"""A consumer of another team: reads `trades` and `orders` with confluent-kafka and its Avro
deserializer, removes duplicates as docs/topics.md says, and prints what it has as one JSON line.

    python consumer.py BROKERS REGISTRY_URL
"""

import json
import sys
import time

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

LIMIT_SECONDS = 60


class Deduplicator:
    """Of each source, in each partition, only the last number + 1 counts. A lower number was seen
    before; a higher one stands behind a hole and will come again. The first number that is seen of
    a source is its base, so that a reader may start in the middle."""

    def __init__(self):
        self.last = {}
        self.dropped = 0

    def is_next(self, message):
        headers = {name: value.decode() for name, value in message.headers() or []}
        if "src" not in headers:
            return True
        edge = (message.partition(), headers["src"])
        seq = int(headers["seq"])
        if edge in self.last and seq != self.last[edge] + 1:
            self.dropped += 1
            return False
        self.last[edge] = seq
        return True


def read(brokers, deserialize, topic):
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": "another-team", "enable.auto.commit": False}
    )
    partitions = consumer.list_topics(topic, timeout=20).topics[topic].partitions
    ends = {}
    for partition in partitions:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=20)
        if high > low:
            ends[partition] = high
    consumer.assign([TopicPartition(topic, partition, 0) for partition in ends])
    deduplicator = Deduplicator()
    values = []
    deadline = time.monotonic() + LIMIT_SECONDS
    while ends:
        if time.monotonic() > deadline:
            raise SystemExit(f"{topic} was not read within {LIMIT_SECONDS} s")
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error():
            raise SystemExit(str(message.error()))
        if deduplicator.is_next(message):
            context = SerializationContext(topic, MessageField.VALUE)
            values.append(deserialize(message.value(), context))
        if message.partition() in ends and message.offset() + 1 >= ends[message.partition()]:
            del ends[message.partition()]
    consumer.close()
    return values, deduplicator.dropped


def main():
    brokers, registry_url = sys.argv[1:]
    deserialize = AvroDeserializer(SchemaRegistryClient({"url": registry_url}))
    trades, trades_dropped = read(brokers, deserialize, "trades")
    orders, orders_dropped = read(brokers, deserialize, "orders")
    last = {}
    for value in orders:
        if value["kind"] == "ORDER_CHANGE":
            order = value["order_change"]["order"]
            last[order["order_id"]] = [order["status"], order["filled_quantity"], order["fees_cents"]]
    trades = [value["trade"] for value in trades if value["kind"] == "TRADE"]
    print(
        json.dumps(
            {
                "trades": {
                    str(trade["trade_id"]): [trade["symbol"], trade["price_cents"], trade["quantity"]]
                    for trade in trades
                },
                "trade_records": len(trades),
                "orders": {str(order_id): state for order_id, state in last.items()},
                "dropped": trades_dropped + orders_dropped,
            }
        )
    )


if __name__ == "__main__":
    main()
