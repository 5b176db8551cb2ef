"""A consumer of another team: reads `trades` and `orders` with confluent-kafka and its Avro
deserializer, removes duplicates as docs/topics.md says, and prints what it has as one JSON line.

    python consumer.py BROKERS REGISTRY_URL [STORE]

STORE is an SQLite file; run again with the same one, it goes on where it was.

Where Kafka and the registry ask who it is, it is told by its environment: BROKERX_CA_FILE (who certifies
them), BROKERX_KAFKA_USER and BROKERX_KAFKA_PASSWORD, BROKERX_SCHEMA_REGISTRY_TOKEN.
"""

import contextlib
import json
import os
import sqlite3
import sys
import time

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

LIMIT_SECONDS = 60
BATCH = 500


class Store:
    """What a reader has made of its topics, and how far it is, in one database: both move in one
    transaction, or neither does.

    How far it is means the next offset of each partition *and* the last number of each source in
    it. With the offset alone, a reader that restarts would take the first number that it then sees
    as its base: inside a run that is written again it would count records twice, and behind a hole
    it would drop the records that come again."""

    def __init__(self, path):
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.executescript(
            """
            CREATE TABLE IF NOT EXISTS positions (
                topic TEXT, partition INTEGER, next_offset INTEGER, PRIMARY KEY (topic, partition));
            CREATE TABLE IF NOT EXISTS sources (
                topic TEXT, partition INTEGER, src TEXT, seq INTEGER, PRIMARY KEY (topic, partition, src));
            CREATE TABLE IF NOT EXISTS trades (
                trade_id INTEGER, symbol TEXT, price_cents INTEGER, quantity INTEGER);
            CREATE TABLE IF NOT EXISTS orders (
                order_id INTEGER PRIMARY KEY, status TEXT, filled_quantity INTEGER, fees_cents INTEGER);
            """
        )

    @contextlib.contextmanager
    def transaction(self):
        self.database.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def next_offset(self, topic, partition):
        row = self.database.execute(
            "SELECT next_offset FROM positions WHERE topic = ? AND partition = ?", (topic, partition)
        ).fetchone()
        return row[0] if row else 0

    def take(self, message):
        """Whether the record counts; notes that it was seen. In a transaction with what is made of it.

        Of each source, in each partition, only the last number + 1 counts. A lower number was seen
        before; a higher one stands behind a hole and will come again. The first number that is ever
        seen of a source is its base, so that a reader may begin in the middle."""
        self.database.execute(
            "INSERT OR REPLACE INTO positions VALUES (?, ?, ?)",
            (message.topic(), message.partition(), message.offset() + 1),
        )
        headers = {name: value.decode() for name, value in message.headers() or []}
        if "src" not in headers:
            return False  # No worker wrote it.
        source = (message.topic(), message.partition(), headers["src"])
        seq = int(headers["seq"])
        last = self.database.execute(
            "SELECT seq FROM sources WHERE topic = ? AND partition = ? AND src = ?", source
        ).fetchone()
        if last and seq != last[0] + 1:
            return False
        self.database.execute("INSERT OR REPLACE INTO sources VALUES (?, ?, ?, ?)", (*source, seq))
        return True


def kafka_settings(brokers):
    settings = {"bootstrap.servers": brokers, "group.id": "another-team"}
    user = os.environ.get("BROKERX_KAFKA_USER")
    if user:
        settings |= {
            "group.id": f"{user}-another-team",
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": os.environ["BROKERX_CA_FILE"],
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": user,
            "sasl.password": os.environ["BROKERX_KAFKA_PASSWORD"],
        }
    return settings


def registry_settings(url):
    settings = {"url": url}
    token = os.environ.get("BROKERX_SCHEMA_REGISTRY_TOKEN")
    if token:
        settings |= {
            "ssl.ca.location": os.environ["BROKERX_CA_FILE"],
            "bearer.auth.credentials.source": "STATIC_TOKEN",
            "bearer.auth.token": token,
            # Confluent's cloud asks for it; a registry of one's own does not look at it.
            "bearer.auth.logical.cluster": "none",
        }
    return settings


def read(brokers, topic, store, apply, records_max=None):
    """Reads a topic from where the store is to its present end, or so many records of it; what
    counts is applied. Returns how many records were read."""
    consumer = Consumer(kafka_settings(brokers) | {"enable.auto.commit": False})
    try:
        ends = {}
        begins = []
        for partition in consumer.list_topics(topic, timeout=20).topics[topic].partitions:
            place = TopicPartition(topic, partition, store.next_offset(topic, partition))
            _, high = consumer.get_watermark_offsets(place, timeout=20)
            if high > place.offset:
                ends[partition] = high
                begins.append(place)
        consumer.assign(begins)
        records = 0
        deadline = time.monotonic() + LIMIT_SECONDS
        while ends and records != records_max:
            if time.monotonic() > deadline:
                raise SystemExit(f"{topic} was not read within {LIMIT_SECONDS} s")
            wanted = BATCH if records_max is None else min(BATCH, records_max - records)
            first = consumer.poll(0.5)
            if first is None:
                # A log may end with markers of transactions, or with what was aborted: no record comes of them.
                for place in consumer.position([TopicPartition(topic, partition) for partition in ends]):
                    if place.offset >= ends[place.partition]:
                        del ends[place.partition]
                continue
            # The rest of what is there already.
            messages = [first, *(consumer.consume(wanted - 1, 0) if wanted > 1 else [])]
            with store.transaction():
                for message in messages:
                    if message.error():
                        raise SystemExit(str(message.error()))
                    if store.take(message):
                        apply(store.database, message)
                    records += 1
                    if message.offset() + 1 >= ends.get(message.partition(), sys.maxsize):
                        del ends[message.partition()]
        return records
    finally:
        consumer.close()


def main():
    brokers, registry_url, path = (*sys.argv[1:], ":memory:")[:3]
    store = Store(path)
    deserialize = AvroDeserializer(SchemaRegistryClient(registry_settings(registry_url)))

    def value_of(message):
        return deserialize(message.value(), SerializationContext(message.topic(), MessageField.VALUE))

    def apply_trade(database, message):
        value = value_of(message)
        if value["kind"] == "TRADE":
            trade = value["trade"]
            row = (trade["trade_id"], trade["symbol"], trade["price_cents"], trade["quantity"])
            database.execute("INSERT INTO trades VALUES (?, ?, ?, ?)", row)

    def apply_order(database, message):
        value = value_of(message)
        if value["kind"] == "ORDER_CHANGE":
            order = value["order_change"]["order"]
            row = (order["order_id"], order["status"], order["filled_quantity"], order["fees_cents"])
            database.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?)", row)

    read(brokers, "trades", store, apply_trade)
    read(brokers, "orders", store, apply_order)
    trades = store.database.execute("SELECT * FROM trades").fetchall()
    orders = store.database.execute("SELECT * FROM orders").fetchall()
    print(
        json.dumps(
            {
                "trades": {str(trade_id): terms for trade_id, *terms in trades},
                "trade_records": len(trades),
                "orders": {str(order_id): state for order_id, *state in orders},
            }
        )
    )


if __name__ == "__main__":
    main()
