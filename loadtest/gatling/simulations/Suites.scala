import scala.concurrent.duration._

import io.gatling.core.Predef._
import io.gatling.core.controller.inject.closed.ClosedInjectionStep
import io.gatling.core.controller.inject.open.OpenInjectionStep
import io.gatling.core.structure.{ ChainBuilder, PopulationBuilder }

/** Who comes, when, and does what. */
object Suites {
    private val habits = Map(
        "smoke" -> Journeys.everything,
        "load" -> Journeys.mixed,
        "custom" -> Journeys.mixed,
        "10k" -> Journeys.mixed,
        "stress" -> Journeys.mixed,
        "soak" -> Journeys.mixed,
        "crud" -> Journeys.crud,
        "read" -> Journeys.reading,
        "write" -> Journeys.writing,
        "pagination" -> Journeys.paging,
        "create-user" -> Journeys.creating
    )

    def population(suite: String): PopulationBuilder = suite match {
        case "spike"      => arriving("spike", Journeys.visit, burst: _*)
        case "breakpoint" => arriving("breakpoint", Journeys.judgedVisit, rising)
        case _ =>
            staying(suite, habits.getOrElse(suite, throw new IllegalArgumentException(s"LOADTEST_SUITE is '$suite': want spike, breakpoint or one of ${habits.keys.toSeq.sorted.mkString(", ")}")))
    }

    /** Closed model: so many users at a time, each of whom keeps its connection until the end. */
    private def staying(suite: String, habit: Journeys.Habit): PopulationBuilder = {
        lazy val until = System.nanoTime + (Settings.ramp + Settings.duration).toNanos // from the first user on
        def onTime = System.nanoTime < until
        scenario(suite)
            .exec(Visitor.begin _)
            .doIf(_ => onTime)(exec(habit.begin).asLongAs(_ => onTime)(habit.again))
            .inject(stayingSteps)
    }

    private def stayingSteps: Seq[ClosedInjectionStep] = {
        val all = constantConcurrentUsers(Settings.users).during(1.second) // who is there stays
        if (Settings.ramp > Duration.Zero) Seq(rampConcurrentUsers(1).to(Settings.users).during(Settings.ramp), all) else Seq(all)
    }

    /** Open model: they arrive at a rate, however long the others take. */
    private def arriving(suite: String, visit: ChainBuilder, steps: OpenInjectionStep*): PopulationBuilder =
        scenario(suite).exec(Visitor.begin _).exec(visit).inject(steps)

    /** A quiet third, a third at ten times the rate, and a quiet third in which it must recover. */
    private def burst: Seq[OpenInjectionStep] = {
        val (third, peak) = (Settings.duration / 3, Settings.users.toDouble)
        Seq(constantUsersPerSec(peak / 10).during(third), constantUsersPerSec(peak).during(third), constantUsersPerSec(peak / 10).during(third))
    }

    /** In twenty steps to the peak. */
    private def rising: OpenInjectionStep = {
        val (levels, step) = (20, Settings.users / 20.0)
        incrementUsersPerSec(step).times(levels).eachLevelLasting(Objective.level).startingFrom(step)
    }
}
