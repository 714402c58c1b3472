// Prints what robfig/cron v3.0.1, the parser of kube-controller-manager, makes of schedules:
// the golden vectors that tests/it/cron.rs compares with. The output is committed as vectors.tsv.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

const header = `# Golden vectors of Kubernetes' cron dialect: what robfig/cron v3.0.1 answers, one question a line.
# Regenerate: cd tests/data/cron && go run . > vectors.tsv
# Columns: expression (tab, newline and NUL escaped), zone, start, then up to five activations in UTC,
# or never, or every <seconds>, or error: <text>
`

const activationsPerRow = 5

type moment struct{ zone, start string }

// Ordinary days, both sides of each kind of clock change, and changes that are no whole hours.
var moments = []moment{
	{"UTC", "2026-01-31T12:00:00Z"},
	{"UTC", "2027-12-31T23:59:30Z"},
	{"Europe/Berlin", "2026-03-28T12:00:00Z"},
	{"Europe/Berlin", "2026-10-24T20:00:00Z"},
	{"Europe/Berlin", "2026-10-25T00:30:00Z"},
	{"America/New_York", "2026-03-07T18:00:00Z"},
	{"America/New_York", "2026-11-01T04:10:00Z"},
	{"Asia/Kathmandu", "2026-06-14T18:14:59Z"},
	{"Asia/Kathmandu", "2026-12-31T18:00:00Z"},
	{"Australia/Lord_Howe", "2026-04-04T00:00:00Z"},
	{"Australia/Lord_Howe", "2026-10-03T00:00:00Z"},
}

// Zones that skip midnight itself, and the evening before they do.
var midnights = []moment{
	{"America/Santiago", "2025-09-06T12:00:00Z"},
	{"America/Havana", "2025-03-08T12:00:00Z"},
	{"America/Havana", "2025-11-01T12:00:00Z"},
	{"Africa/Cairo", "2025-04-24T12:00:00Z"},
}

var atMidnight = []string{
	"0 0 * * *", "30 0 * * *", "0 1 * * *", "*/15 0-1 * * *", "0 5 * * 6", "0 5 25 4 *", "0 0 * * 0", "0 12 * * *",
	"@hourly", "@daily",
}

var accepted = []string{
	"* * * * *", "*/5 * * * *", "*/7 * * * *", "5/15 * * * *", "0 * * * *", "59 23 * * *", "0 0 * * *",
	"30 1 * * *", "30 2 * * *", "0 2 * * *", "0 3 * * *", "15 2,3 * * *", "*/20 1-3 * * *", "45 1 * * *", "59 1-2 * * *",
	"0 0 * * 0", "0 0 * * 1", "0 0 * * SUN", "0 0 * * mon-Fri", "0 0 * * FRI,sat", "0 12 * * MON-FRI/2", "0 0 * * 4/2",
	"0 0 13 * 5", "0 0 */5 * 1", "0 0 */1 * 1", "0 0 1-31 * 1", "0 0 *,5 * 1", "0 0 1 * */2", "0 0 ? * MON", "0 0 1 * ?",
	"0 0 ?/2 * MON", "0 0 13 * *,5", "? ? ? ? ?", "0 0 1 1 *", "0 0 29 2 *", "0 0 31 * *", "0 0 31 4,6 *", "0 0 31 2 *",
	"59 23 31 2 *", "0 0 30 2 1", "0 4 1 JAN-MAR *", "0 4 1 feb,Dec *", "0 4 1 */5 *", "0 4 1 3/4 *", "10-20/3 8-18/4 * * *",
	"*/100 * * * *", "5/100 5/100 * * *", "007 03 * * *", "+7 3 * * *", "1,1,1-3 0 * * *", "  0   6 * * *  ",
	"0\t6 * * *", "0 6 * * *\n", "0 6\u00a0* * *", "0 0 28-31 * *", "30 6-16/4 * * 1-5",
	"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually",
	"TZ=Asia/Tokyo 30 2 * * *", "CRON_TZ=Asia/Tokyo 30 2 * * *", "TZ=America/New_York   30 2 * * * ", "CRON_TZ=UTC @daily ",
	"TZ=Asia/Kathmandu 0 0 * * 0",
}

// Intervals: only acceptance and length count, because Kubernetes counts from the object's last run.
var intervals = []string{
	"@every 1h", "@every 1h30m", "@every 90m", "@every 1.5h", "@every 1s", "@every 1.9s", "@every .5h", "@every 1.h",
	"@every +1h", "@every 24h0m0s", "@every 100000000us", "@every 100000000µs", "@every 100000000μs", "@every 5000ms",
	"@every 2000000000ns", "@every 2562047h", "TZ=UTC @every 1h", "@every -1h", "@every 0", "@every 0s", "@every 500ms",
	"@every", "@every ", "@every 1", "@every 1d", "@every 1w", "@every h", "@every .h", "@every  1h", "@every 1h ", "@every 1 h",
	"@every 2562048h", "@every 1H", "@every 1h-30m", "@every -", "@every 1,5h", "@every 99999999999999999999h", "@every1h",
	"@every 00", "@every -0", "@every 3153600000000ms", "@every 1h1h", "@every ++1h", "@every 1e3s",
}

var refused = []string{
	"", " ", "*", "* * * *", "* * * * * *", "0 0 * * * *", "0 0 0 1 1 * 2026", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
	"* * * 0 *", "* * * 13 *", "* * * * 7", "* * * * 8", "* * * * 1-7", "* * * * 0-7", "* * * * SAT-SUN", "* * * * FRI-MON",
	"5-1 * * * *", "* 22-4 * * *", "* * * DEC-FEB *", "*/0 * * * *", "1-5/0 * * * *", "0/0 * * * *", "*/ * * * *", "/5 * * * *",
	"5- * * * *", "-5 * * * *", "- * * * *", "1-2-3 * * * *", "1/2/3 * * * *", "*/-1 * * * *", "*/x * * * *", "** * * * *",
	"1.5 * * * *", "0x5 * * * *", "a * * * *", "* * L * *", "* * 15W * *", "* * LW * *", "* * * * 5#2", "* * * * 5L", "H * * * *",
	"JAN * * * *", "* * * MON *", "* * * * JAN", "* * * JANUARY *", "* * * * MONDAY", "99999999999999999999 * * * *",
	"@", "@dail", "@Daily", "@DAILY", "@daily ", " @daily", "@daily 5", "@reboot", "@fortnightly", "TZ=Mars/Olympus * * * * *",
	" TZ=UTC * * * * *", "tz=UTC * * * * *", "TZ=UTC\t* * * * *", "TZ=UTC  ", "TZ=UTC * * * *", "TZ=UTC TZ=UTC * * * * *",
	"* * * * * # x", "* * * * *;", "٣ * * * *", "５ * * * *", "* * * * \u0000", "0 0 31-32 * *", "0-60 * * * *", "1–5 * * * *",
	// Accepted by robfig, refused by Holdfast: see the test.
	",  * * * *", "1,,2 * * * *", ",1 * * * *", "1, * * * *", "*-5 * * * *", "*-x/2 * * * *", "?-? * * * *", "TZ= * * * * *", "TZ=Local * * * * *",
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprint(out, header)
	for _, m := range moments {
		rows(out, accepted, m)
	}
	for _, m := range midnights {
		rows(out, atMidnight, m)
	}
	rows(out, refused, moments[0])
	for _, expression := range intervals {
		row(out, expression, moments[0], interval(expression))
	}
}

func rows(out *bufio.Writer, expressions []string, m moment) {
	for _, expression := range expressions {
		row(out, expression, m, answer(expression, m))
	}
}

func row(out *bufio.Writer, expression string, m moment, answer string) {
	escape := strings.NewReplacer("\t", `\t`, "\n", `\n`, "\x00", `\0`)
	fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", escape.Replace(expression), m.zone, m.start, escape.Replace(answer))
}

// interval tells the length in seconds, because where Kubernetes counts from depends on the object.
func interval(expression string) string {
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprintf("every %d", int64(schedule.(cron.ConstantDelaySchedule).Delay/time.Second))
}

// answer asks as kube-controller-manager does: without a zone of its own the schedule is read in the zone of the start.
func answer(expression string, m moment) string {
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		return "error: " + err.Error()
	}
	zone, err := time.LoadLocation(m.zone)
	if err != nil {
		panic(err)
	}
	if spec, ok := schedule.(*cron.SpecSchedule); ok && spec.Location == time.Local {
		spec.Location = zone
	}
	at, err := time.Parse(time.RFC3339, m.start)
	if err != nil {
		panic(err)
	}
	var found []string
	for len(found) < activationsPerRow {
		if at = schedule.Next(at); at.IsZero() {
			break
		}
		found = append(found, at.UTC().Format(time.RFC3339))
	}
	if len(found) == 0 {
		return "never"
	}
	return strings.Join(found, " ")
}
