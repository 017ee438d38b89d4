import java.net.URI
import java.net.http.{ HttpClient, HttpRequest, HttpResponse }
import java.time.{ Duration, Instant }

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.{ JsonNode, ObjectMapper }

/** The server under test, asked before and after a run. */
object Server {
    private val client = HttpClient.newBuilder.connectTimeout(Duration.ofSeconds(5)).build()
    private val mapper = new ObjectMapper
    private val patience = Duration.ofSeconds(20)

    /** A run against a server that is not well would measure its fault. */
    def mustBeHealthy(): Unit = {
        val answer =
            try get("/health")
            catch { case e: java.io.IOException => throw new IllegalStateException(s"no API answers at ${Settings.url} (${e.getClass.getSimpleName}): start it with `make dev`") }
        val state = json(answer).path("status").asText
        if (answer.statusCode != 200 || state != "ok")
            throw new IllegalStateException(s"the API at ${Settings.url} is not healthy (${answer.statusCode} $state): see `make health`")
    }

    /** Users per shard, counted after now. */
    def counts(): Seq[(String, Long)] = {
        val asked = Instant.now
        def current(): Seq[(String, Long)] = {
            val answer = get("/api/v1/shards/stats")
            val stats = json(answer)
            val usable = answer.statusCode == 200 && !Instant.parse(stats.path("counted_at").asText).isBefore(asked)
            if (usable) stats.path("shards").asScala.map(s => s.path("shard_name").asText -> s.path("user_count").asLong).toSeq
            else if (Instant.now.isAfter(asked.plus(patience))) throw new IllegalStateException(s"the shards could not be counted within $patience: ${answer.body}")
            else {
                Thread.sleep(100)
                current()
            }
        }
        current()
    }

    private def get(path: String): HttpResponse[String] =
        client.send(HttpRequest.newBuilder(URI.create(Settings.url + path)).timeout(Duration.ofSeconds(10)).build(), HttpResponse.BodyHandlers.ofString)

    private def json(answer: HttpResponse[String]): JsonNode =
        try mapper.readTree(answer.body)
        catch { case _: com.fasterxml.jackson.core.JsonProcessingException => mapper.createObjectNode }
}
