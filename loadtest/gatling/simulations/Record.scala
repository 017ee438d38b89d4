import java.lang.management.ManagementFactory
import java.nio.file.{ Files, Path }
import java.util.Properties
import java.util.concurrent.atomic.AtomicLong

import io.gatling.core.Predef._

/** What Gatling's own log of a run does not have, left for Summary: users per shard, users made, the load generator's own share of the machine. */
object Record {
    private val made = new AtomicLong
    private val unmade = new AtomicLong
    private val properties = new Properties
    private var begun = Load(0, 0)

    private final case class Load(wallNanos: Long, cpuNanos: Long)

    def created(session: Session): Session = {
        made.incrementAndGet()
        session
    }

    def deleted(session: Session): Session = {
        unmade.incrementAndGet()
        session
    }

    def begin(): Unit = {
        Server.mustBeHealthy()
        count("before")
        begun = load()
    }

    def end(): Unit = {
        val ended = load()
        val processors = Runtime.getRuntime.availableProcessors
        properties.setProperty("processors", processors.toString)
        properties.setProperty("cpu", ((ended.cpuNanos - begun.cpuNanos).toDouble / (ended.wallNanos - begun.wallNanos) / processors).toString)
        properties.setProperty("created", made.toString)
        properties.setProperty("deleted", unmade.toString)
        Objective.verdict.foreach(properties.setProperty("objective", _))
        count("after")
        val out = Files.newBufferedWriter(Path.of(Settings.record))
        try properties.store(out, null)
        finally out.close()
    }

    private def count(when: String): Unit = Server.counts().foreach { case (shard, users) => properties.setProperty(s"$when.$shard", users.toString) }

    private def load(): Load = ManagementFactory.getOperatingSystemMXBean match {
        case system: com.sun.management.OperatingSystemMXBean => Load(System.nanoTime, system.getProcessCpuTime)
        case other                                            => throw new IllegalStateException(s"$other does not tell the time of the processors: use an OpenJDK")
    }
}
