package processruntime

import (
	"strings"
	"testing"
	"time"
)

func TestFormatLog(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	const prefix = "2026-01-02T03:04:05.000000006Z stdout "
	long := strings.Repeat("x", maxLogLine)
	for name, test := range map[string]struct {
		output string
		final  bool
		want   string
		taken  int
	}{
		"whole lines":         {output: "a\nb\n", want: prefix + "F a\n" + prefix + "F b\n", taken: 4},
		"unfinished line":     {output: "a\nb", want: prefix + "F a\n", taken: 2},
		"unfinished, at end":  {output: "b", final: true, want: prefix + "P b\n", taken: 1},
		"empty line":          {output: "\n", want: prefix + "F \n", taken: 1},
		"nothing":             {},
		"longest whole line":  {output: long + "\n", want: prefix + "F " + long + "\n", taken: maxLogLine + 1},
		"too long a line":     {output: long + "yz\n", want: prefix + "P " + long + "\n" + prefix + "F yz\n", taken: maxLogLine + 3},
		"long and unfinished": {output: long + "y", want: prefix + "P " + long + "\n", taken: maxLogLine},
	} {
		t.Run(name, func(t *testing.T) {
			got, taken := formatLog([]byte(test.output), "stdout", now, test.final)
			if string(got) != test.want || taken != test.taken {
				t.Errorf("took %d of %d, got %q", taken, len(test.output), got)
			}
		})
	}
}

func TestParseStatus(t *testing.T) {
	for name, test := range map[string]struct {
		data string
		pid  int
		code int32 // -1: none
	}{
		"empty":      {data: "", code: -1},
		"started":    {data: "{ \"child-pid\": 12, \"pid-namespace\": 4026532180 }\n", pid: 12, code: -1},
		"ended":      {data: "{ \"child-pid\": 12 }\n{ \"exit-code\": 3 }\n", pid: 12, code: 3},
		"ended at 0": {data: "{ \"child-pid\": 12 }\n{ \"exit-code\": 0 }\n", pid: 12, code: 0},
		"cut off":    {data: "{ \"child-pid\": 12 }\n{ \"exit-co", pid: 12, code: -1},
	} {
		t.Run(name, func(t *testing.T) {
			got := parseStatus([]byte(test.data))
			code := int32(-1)
			if got.exitCode != nil {
				code = *got.exitCode
			}
			if got.pid != test.pid || code != test.code {
				t.Errorf("got pid %d code %d", got.pid, code)
			}
		})
	}
}

func TestParseStatWithBracketsInName(t *testing.T) {
	fields := "S 7 1 1 0 -1 0 0 0 0 0 30 12 0 0 20 0 1 0 4242 1000 25 "
	got, err := parseStat(9, []byte("9 (a ) b) "+fields))
	if err != nil || got.parent != 7 || got.startTicks != 4242 || got.cpuTicks != 42 || got.rssBytes == 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseStat(9, []byte("9 (cut")); err == nil {
		t.Error("a cut file was accepted")
	}
}

func TestSignalProcessSparesAnotherWithItsPid(t *testing.T) {
	h := newHarness(t)
	id := h.started("exec sleep 1000", nil)
	pid := h.payload(id)
	stat, err := readStat(pid)
	h.must(err)
	h.must(signalProcess(pid, stat.startTicks+1, 9))
	if now := h.status(id); now.FinishedAt != 0 || !alive(pid) {
		t.Error("the wrong process was killed")
	}
	h.must(signalProcess(pid, stat.startTicks, 9))
	h.ended(id)
}

func TestAddressRange(t *testing.T) {
	for cidr, ok := range map[string]bool{
		"127.77.0.0/17": true, "127.0.0.0/8": true, "10.0.0.0/16": false, "127.0.0.0/7": false, "127.77.0.0/31": false, "::1/64": false, "x": false,
	} {
		if _, err := newAddressPool(cidr); (err == nil) != ok {
			t.Errorf("%s: %v", cidr, err)
		}
	}
}

func TestAddressIsNotReusedAtOnce(t *testing.T) {
	pool, err := newAddressPool("127.77.0.0/24")
	if err != nil {
		t.Fatal(err)
	}
	first, _ := pool.take()
	pool.release(first)
	if second, _ := pool.take(); second == first {
		t.Errorf("%s was given to the next pod", first)
	}
}
