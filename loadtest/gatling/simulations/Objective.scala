import scala.collection.mutable.ArrayBuffer
import scala.concurrent.duration._

import io.gatling.core.Predef._
import io.gatling.core.structure.ChainBuilder

/** The breakpoint suite's judge: it keeps the answers of each level of the rate, and breaks off after the first that misses the objective. */
object Objective {
    final case class Level(number: Int, requestsPerSecond: Double, p95: Int, p99: Int, ko: Double) {
        def held: Boolean = p95 <= Settings.p95 && p99 <= Settings.p99 && ko <= Settings.maxKo
        override def toString: String = f"$requestsPerSecond%.0f req/s (p95 $p95 ms, p99 $p99 ms, KO $ko%.2f %%)"
    }

    /** A level's first seconds belong to the change of rate. */
    val level: FiniteDuration = 10.seconds
    private val settling = 2.seconds

    private var begun = 0L
    private val millis = ArrayBuffer.empty[Int]
    private var failed = 0
    private var at = 0
    private val judged = ArrayBuffer.empty[Level]

    /** To be put after each request, whose time it finds in the session. */
    val judge: ChainBuilder = exec(take _).stopLoadGeneratorIf((_: Session) => verdictOrNothing, (_: Session) => isBroken)

    /** What to tell people; none before a level was judged. */
    def verdict: Option[String] = synchronized {
        judged.lastOption.map { last =>
            val best = judged.reverseIterator.find(_.held)
            val sustained = best.fold("none: the first level missed the objective")(_.toString)
            s"highest sustained rate: $sustained" + (if (last.held) "; the objective never broke: raise USERS" else s"; broken at $last")
        }
    }

    private def verdictOrNothing: String = verdict.getOrElse("")

    private def isBroken: Boolean = synchronized(judged.lastOption.exists(!_.held))

    private def take(session: Session): Session = synchronized {
        val now = System.nanoTime
        if (begun == 0) begun = now
        val elapsed = (now - begun).nanos
        val number = (elapsed / level).toInt
        if (number > at) {
            close()
            at = number
        }
        if (elapsed - level * number.toLong >= settling) {
            if (session.isFailed) failed += 1 else millis += session("millis").as[Int]
        }
        session.remove("millis")
    }

    private def close(): Unit = if (millis.nonEmpty || failed > 0) {
        val sorted = millis.sorted
        def percentile(p: Int): Int = if (sorted.isEmpty) Int.MaxValue else sorted((sorted.size - 1) * p / 100)
        val all = sorted.size + failed
        judged += Level(at, all / (level - settling).toUnit(SECONDS), percentile(95), percentile(99), 100.0 * failed / all)
        println(s"level ${at + 1}: ${judged.last}")
        millis.clear()
        failed = 0
    }
}
