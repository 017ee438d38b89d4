package io.gatling.messenger // Gatling keeps the reader of its log to its own packages

import java.nio.file.{ Files, Path }
import java.util.Properties

import scala.jdk.CollectionConverters._

import io.gatling.charts.stats.{ GeneralStats, LogFileData, LogFileReader, RequestStatsPath }
import io.gatling.commons.stats.{ KO, OK }
import io.gatling.core.config.GatlingConfiguration

/** What a run was like, for a terminal: the same log and the same arithmetic as the HTML report's. Fails when acknowledged users are not there. */
object Summary {
    def main(args: Array[String]): Unit = {
        val results = Path.of(args.head)
        val record = new Properties
        val in = Files.newBufferedReader(results.resolve("record.properties"))
        try record.load(in)
        finally in.close()
        val data = LogFileReader(results.getFileName.toString, results.getParent, GatlingConfiguration.load()).read()

        requests(data)
        println()
        val lost = shards(record)
        println()
        errors(data)
        Option(record.getProperty("objective")).foreach(println)
        generator(record)
        println(s"report: ${results.resolve("index.html").toAbsolutePath.normalize}")
        if (lost) sys.exit(1)
    }

    private def requests(data: LogFileData): Unit = {
        val paths = data.statsPaths.collect { case RequestStatsPath(name, group) => name -> group }
        val rows = paths.flatMap { case (name, group) => row(name, data.requestGeneralStats(Some(name), group, _)) }
        table(Seq("REQUEST", "COUNT", "OK", "REQ/S", "P50 ms", "P95 ms", "P99 ms", "MAX ms"), rows ++ row("all", data.requestGeneralStats(None, None, _)))
    }

    private def row(name: String, stats: Option[io.gatling.commons.stats.Status] => Option[GeneralStats]): Option[Seq[String]] = {
        val ok = stats(Some(OK)).fold(0L)(_.count)
        val ko = stats(Some(KO)).fold(0L)(_.count)
        stats(None).filter(_ => ok + ko > 0).map { all =>
            val share = 100.0 * ok / (ok + ko)
            // Never rounded up to 100: one KO in a million is one.
            val shown = if (ko == 0) "100 %" else f"${math.min(share, 99.99)}%.2f %%"
            Seq(name, (ok + ko).toString, shown, f"${all.meanRequestsPerSec}%.1f") ++ Seq(50.0, 95.0, 99.0).map(all.percentile(_).toString) :+ all.max.toString
        }
    }

    /** Prints users per shard; true if fewer were added than the API acknowledged. */
    private def shards(record: Properties): Boolean = {
        def counts(when: String): Map[String, Long] =
            record.stringPropertyNames.asScala.filter(_.startsWith(s"$when.")).map(key => key.stripPrefix(s"$when.") -> record.getProperty(key).toLong).toMap
        val (before, after) = (counts("before"), counts("after"))
        val added = after.values.sum - before.values.sum
        def row(name: String, was: Long, is: Long): Seq[String] =
            Seq(name, was.toString, is.toString, f"${is - was}%+d", if (added > 0) f"${100.0 * (is - was) / added}%.1f %%" else "-")
        val names = after.keys.toSeq.sortBy(name => (name.length, name))
        table(
            Seq("SHARD", "USERS BEFORE", "AFTER", "ADDED", "SHARE"),
            names.map(name => row(name, before.getOrElse(name, 0), after(name))) :+ row("total", before.values.sum, after.values.sum)
        )
        val acknowledged = record.getProperty("created").toLong - record.getProperty("deleted").toLong
        println(s"\nacknowledged: ${record.getProperty("created")} created, ${record.getProperty("deleted")} deleted; $added added")
        val lost = added < acknowledged
        if (lost) println(s"LOST: ${acknowledged - added} users whose creation was acknowledged are not there (or somebody else deleted users meanwhile): see `make verify`")
        lost
    }

    private def errors(data: LogFileData): Unit = {
        val all = data.errors(None, None)
        all.foreach(e => println(f"KO ${e.count}%8d  ${e.message}"))
        if (all.nonEmpty) println()
    }

    /** The load generator runs beside what it measures; from half of the machine on, it measures itself. */
    private def generator(record: Properties): Unit = {
        val share = 100 * record.getProperty("cpu").toDouble
        println(f"load generator: $share%.0f %% of ${record.getProperty("processors")} processors")
        if (share > 50) println("CAUTION: that is more than half of the machine. Its figures are a lower bound: run it from another machine (LOADTEST_URL) to measure the server alone.")
    }

    private def table(head: Seq[String], rows: Seq[Seq[String]]): Unit = {
        val all = head +: rows
        val widths = head.indices.map(i => all.map(_(i).length).max)
        all.foreach { cells =>
            println(cells.indices.map(i => if (i == 0) cells(i).padTo(widths(i), ' ') else " " * (widths(i) - cells(i).length) + cells(i)).mkString("  "))
        }
    }
}
