"""Restarts the consumer of consumer.py at every offset of a topic, in every way in which it can
stop, and prints what it counted.

    python restarts.py BROKERS TOPIC
"""

import json
import os
import sys
import tempfile

from consumer import Store, read


class Died(Exception):
    """The process died before its transaction was over."""


def open_store(path):
    store = Store(path)
    store.database.execute("CREATE TABLE IF NOT EXISTS counted (partition INTEGER, src TEXT, value TEXT)")
    return store


def count(database, message):
    src = dict(message.headers())["src"].decode()
    row = (message.partition(), src, message.value().decode())
    database.execute("INSERT INTO counted VALUES (?, ?, ?)", row)


def die(database, message):
    count(database, message)
    raise Died


def counted(store):
    result = {}
    for partition, src, value in store.database.execute("SELECT * FROM counted ORDER BY rowid"):
        result.setdefault(f"{partition} {src}", []).append(int(value))
    return result


def restarted(brokers, topic, stops):
    """What is counted when the reader is restarted after each of these numbers of records, and
    before that dies once in the middle of a transaction."""
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "store")
        for records in (*stops, None):
            store = open_store(path)
            read(brokers, topic, store, count, records)
            store.database.close()
            store = open_store(path)
            try:
                read(brokers, topic, store, die)
            except Died:
                pass
            store.database.close()
        return counted(open_store(path))


def main():
    brokers, topic = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        store = open_store(os.path.join(directory, "store"))
        records = read(brokers, topic, store, count)
        at_once = counted(store)
    outcomes = [restarted(brokers, topic, [stop]) for stop in range(records + 1)]
    outcomes.append(restarted(brokers, topic, [1] * records))
    print(json.dumps({"records": records, "at_once": at_once, "differ": [it for it in outcomes if it != at_once]}))


if __name__ == "__main__":
    main()
