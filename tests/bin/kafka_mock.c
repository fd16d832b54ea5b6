/*
 * A Kafka of three brokers in one process (librdkafka's mock), which does to requests what its
 * standard input says, and prints what a consumer of the topic gets:
 *
 *   brokers HOST:PORT,...
 *   message PARTITION KEY UUID VALUE
 *
 * Commands, one a line, each answered with `done`: `error API CODE` (the next such request fails),
 * `leader PARTITION BROKER`, `down BROKER`, `up BROKER`. The end of the input is its end.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TOPIC "alerts"
#define PARTITIONS 4

static void fail(const char *what)
{
	fprintf(stderr, "kafka_mock: %s\n", what);
	exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char why[256];
	if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK)
		fail(why);
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char why[256];
	rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof why);
	if (!client)
		fail(why);
	return client;
}

static rd_kafka_t *consumer(const char *brokers)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "bootstrap.servers", brokers);
	set(conf, "group.id", "tests");
	set(conf, "check.crcs", "true");
	set(conf, "reconnect.backoff.max.ms", "200");
	set(conf, "fetch.wait.max.ms", "50");
	set(conf, "socket.timeout.ms", "2000");
	set(conf, "topic.metadata.refresh.interval.ms", "200");
	set(conf, "log_level", "0");
	rd_kafka_t *reader = client(RD_KAFKA_CONSUMER, conf);
	rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(PARTITIONS);
	for (int partition = 0; partition < PARTITIONS; partition++)
		rd_kafka_topic_partition_list_add(all, TOPIC, partition)->offset =
			RD_KAFKA_OFFSET_BEGINNING;
	if (rd_kafka_assign(reader, all))
		fail("cannot read the topic");
	rd_kafka_topic_partition_list_destroy(all);
	return reader;
}

static void show(rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers;
	const void *uuid = "";
	size_t length = 0;
	if (!rd_kafka_message_headers(message, &headers))
		rd_kafka_header_get_last(headers, "uuid", &uuid, &length);
	printf("message %d %.*s %.*s %.*s\n", message->partition, (int)message->key_len,
	       (const char *)message->key, (int)length, (const char *)uuid, (int)message->len,
	       (const char *)message->payload);
}

static void obey(rd_kafka_mock_cluster_t *cluster, const char *line)
{
	int first = 0, second = 0;
	if (sscanf(line, "error %d %d", &first, &second) == 2) {
		rd_kafka_resp_err_t code = second;
		rd_kafka_mock_push_request_errors_array(cluster, first, 1, &code);
	} else if (sscanf(line, "leader %d %d", &first, &second) == 2) {
		rd_kafka_mock_partition_set_leader(cluster, TOPIC, first, second);
	} else if (sscanf(line, "down %d", &first) == 1) {
		rd_kafka_mock_broker_set_down(cluster, first);
	} else if (sscanf(line, "up %d", &first) == 1) {
		rd_kafka_mock_broker_set_up(cluster, first);
	} else {
		fail("unknown command");
	}
	puts("done");
}

int main(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	set(conf, "log_level", "0");
	rd_kafka_t *owner = client(RD_KAFKA_PRODUCER, conf);
	rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(owner, 3);
	if (!cluster || rd_kafka_mock_topic_create(cluster, TOPIC, PARTITIONS, 3))
		fail("no cluster");
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	printf("brokers %s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	rd_kafka_t *reader = consumer(rd_kafka_mock_cluster_bootstraps(cluster));
	for (;;) {
		struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
		char line[128];
		if (poll(&input, 1, 0) > 0) {
			if (!fgets(line, sizeof line, stdin))
				_exit(0);
			obey(cluster, line);
		}
		rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 10);
		if (!message)
			continue;
		if (!message->err)
			show(message);
		else if (message->err == RD_KAFKA_RESP_ERR__BAD_MSG)
			fail("a batch is damaged");
		rd_kafka_message_destroy(message);
	}
}
