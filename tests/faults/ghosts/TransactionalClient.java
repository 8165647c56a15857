import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringSerializer;

/** A transactional producer that is told line by line what to do, and answers each line with ok or what it refused. */
public class TransactionalClient {
    private static final String LIMIT_MS = "20000";

    private final Properties settings = new Properties();
    private KafkaProducer<String, String> producer;

    private TransactionalClient(String bootstrap, String transactionalId) {
        settings.put("bootstrap.servers", bootstrap);
        settings.put("transactional.id", transactionalId);
        settings.put("linger.ms", "0");
        settings.put("max.block.ms", LIMIT_MS);
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
    }

    private void obey(String[] words) throws Exception {
        switch (words[0]) {
            case "renew" -> renew();
            case "begin" -> producer.beginTransaction();
            case "produce" ->
                producer.send(new ProducerRecord<>(words[1], Integer.valueOf(words[2]), null, words[3])).get();
            case "offsets" ->
                producer.sendOffsetsToTransaction(
                    Map.of(new TopicPartition(words[1], 0), new OffsetAndMetadata(Long.parseLong(words[2]))),
                    new ConsumerGroupMetadata(words[3]));
            case "commit" -> producer.commitTransaction();
            case "abort" -> producer.abortTransaction();
            default -> throw new IllegalArgumentException(words[0]);
        }
    }

    private void renew() {
        if (producer != null) {
            producer.close(Duration.ZERO);
        }
        producer = new KafkaProducer<>(settings);
        producer.initTransactions();
    }

    public static void main(String[] arguments) throws Exception {
        TransactionalClient client = new TransactionalClient(arguments[0], arguments[1]);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String answer = "ok";
            try {
                client.obey(line.split(" "));
            } catch (Exception refusal) {
                Throwable cause = refusal.getCause() != null ? refusal.getCause() : refusal;
                answer = cause.getClass().getSimpleName();
            }
            System.out.println(answer);
        }
        if (client.producer != null) {
            client.producer.close(Duration.ZERO);
        }
    }
}
