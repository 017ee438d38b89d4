import io.gatling.core.Predef._

/** A suite, what is noted before and after it, and what it is held to: each kind of request by itself, so that a slow one does not hide among fast ones. */
abstract class LoadSimulation(suite: String) extends Simulation {
    before(Record.begin())
    after(Record.end())

    private val simulation = setUp(Suites.population(suite)).protocols(Api.protocol)
    if (suite != "breakpoint") { // which is meant to break, and says where
        simulation.assertions(
            forAll.failedRequests.percent.lte(Settings.maxKo),
            forAll.responseTime.percentile(95).lte(Settings.p95),
            forAll.responseTime.percentile(99).lte(Settings.p99)
        )
    }
}
