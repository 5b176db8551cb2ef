#!/usr/bin/env bash
# Apache Kafka 4.1.2: min.insync.replicas above the number of a topic's replicas refuses nothing.
#
# One would guess: a topic with one replica and min.insync.replicas=2 refuses every record that is sent with acks=all
# (NOT_ENOUGH_REPLICAS), as the setting's description says: "the minimum number of replicas that must acknowledge a
# write for the write to be considered successful".
# What happens: the broker asks for as many as there are replicas, if these are fewer. Seen:
#   replicas 1, min.insync.replicas 1, acks=all   written at offset 0
#   replicas 1, min.insync.replicas 2, acks=all   written at offset 1
# What follows: whoever raises the setting on a broker by itself, to see what a producer does that is refused, sees
# nothing; a lower max.message.bytes refuses for certain. And a topic that was made with one replica by mistake is
# written without a word in a cluster whose setting promises two copies.
set -euo pipefail
version=4.1.2
folder=$(mktemp -d)
broker=
trap '[ -z "$broker" ] || kill "$broker" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"

cat > pom.xml <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId><artifactId>finding</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
  </dependencies>
</project>
POM
mvn --quiet --batch-mode org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies -DoutputDirectory="$folder/jars"

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
client=$(free_port)
controller=$(free_port)
cat > server.properties <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:$controller
listeners=BROKER://127.0.0.1:$client,CONTROLLER://127.0.0.1:$controller
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
log.dirs=$folder/data
PROPERTIES
java -cp "jars/*" kafka.tools.StorageTool format --standalone --config server.properties \
  --cluster-id 4L6g3nShT-eMCtK--X86sw >format.log 2>&1 || { cat format.log; exit 1; }
java -Xmx256m -cp "jars/*" kafka.Kafka server.properties >broker.log 2>&1 &
broker=$!

cat > Finding.java <<'JAVA'
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringSerializer;

public class Finding {
    public static void main(String[] arguments) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "default.api.timeout.ms", 60000);
        Map<String, Object> sending = Map.of(
            "bootstrap.servers", arguments[0], "acks", "all", "delivery.timeout.ms", 20000, "request.timeout.ms", 10000);
        try (Admin admin = Admin.create(settings);
             var producer = new KafkaProducer<>(sending, new StringSerializer(), new StringSerializer())) {
            admin.createTopics(List.of(new NewTopic("topic", 1, (short) 1))).all().get(60, TimeUnit.SECONDS);
            var topic = new ConfigResource(ConfigResource.Type.TOPIC, "topic");
            for (String most : List.of("1", "2")) {
                var entry = new ConfigEntry("min.insync.replicas", most);
                var change = new AlterConfigOp(entry, AlterConfigOp.OpType.SET);
                admin.incrementalAlterConfigs(Map.of(topic, List.of(change))).all().get();
                // It is in force once the broker describes it.
                String described;
                do {
                    described = admin.describeConfigs(List.of(topic)).all().get().get(topic).get("min.insync.replicas").value();
                } while (!described.equals(most));
                String outcome;
                try {
                    var written = producer.send(new ProducerRecord<>("topic", "key", "value")).get();
                    outcome = "written at offset " + written.offset();
                } catch (ExecutionException refused) {
                    outcome = refused.getCause().getClass().getSimpleName();
                }
                System.out.println("replicas 1, min.insync.replicas " + most + ", acks=all   " + outcome);
            }
        }
    }
}
JAVA
java -cp "jars/*" Finding.java "127.0.0.1:$client" 2>client.log >seen.txt || { cat client.log broker.log; exit 1; }
cat seen.txt
diff - seen.txt <<'EXPECTED'
replicas 1, min.insync.replicas 1, acks=all   written at offset 0
replicas 1, min.insync.replicas 2, acks=all   written at offset 1
EXPECTED
