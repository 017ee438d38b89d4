import scala.concurrent.duration._

/** One run's settings. scripts/loadtest-env.sh has the defaults of every suite, and sets them all. */
object Settings {
    val url: String = text("LOADTEST_URL")
    val suite: String = text("LOADTEST_SUITE")

    /** Concurrent users; in the open model, those who arrive per second at the peak. */
    val users: Int = number("LOADTEST_USERS")
    val ramp: FiniteDuration = number("LOADTEST_RAMP").seconds

    /** How long all of them are there, after the ramp. */
    val duration: FiniteDuration = number("LOADTEST_DURATION").seconds

    /** The mean time between an answer and the user's next request. */
    val think: FiniteDuration = number("LOADTEST_THINK_MS").millis

    /** The objective, for each kind of request. */
    val p95: Int = number("LOADTEST_P95_MS")
    val p99: Int = number("LOADTEST_P99_MS")
    val maxKo: Double = text("LOADTEST_MAX_KO").toDouble

    /** What is drawn depends on the seed alone; the run's name keeps addresses unique. */
    val seed: Long = text("LOADTEST_SEED").toLong
    val run: String = text("LOADTEST_RUN")

    /** Where a run leaves what the report does not have: see Record. */
    val record: String = text("LOADTEST_RECORD")

    private def text(name: String): String =
        sys.env.getOrElse(name, throw new IllegalArgumentException(s"$name is not set: start load tests with `make loadtest-smoke` (make loadtest-help lists them)"))

    private def number(name: String): Int =
        text(name).toIntOption.filter(_ >= 0).getOrElse(throw new IllegalArgumentException(s"$name is '${text(name)}': want a whole number"))
}
