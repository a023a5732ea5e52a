package processruntime

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// logInterval is how often a container's output is copied to its log.
	logInterval = 200 * time.Millisecond
	// maxLogLine is where CRI's log format breaks a line in parts.
	maxLogLine = 16 << 10
	// punchAfter is how much copied output may take up disk before it is given back.
	punchAfter = 4 << 20
)

const offsetsFile = "offsets.json"

// containerLog copies what a container wrote to its raw output files into the CRI log that
// kubelet reads, and remembers how far it came. Lines of the two streams that are written
// within one logInterval keep their order only within each stream.
type containerLog struct {
	dir     string
	path    string // kubelet's log; empty: nobody wants it
	log     *slog.Logger
	offsets map[string]int64
	punched map[string]int64
}

func newContainerLog(dir, path string, log *slog.Logger) *containerLog {
	l := &containerLog{dir: dir, path: path, log: log, offsets: map[string]int64{}, punched: map[string]int64{}}
	if data, err := os.ReadFile(filepath.Join(dir, offsetsFile)); err == nil {
		if err := json.Unmarshal(data, &l.offsets); err != nil {
			log.Error("log position lost, the log starts again", "path", path, "error", err)
		}
	}
	return l
}

// save remembers the position. A crash between copy and save repeats lines, never loses any.
func (l *containerLog) save() {
	data, _ := json.Marshal(l.offsets)
	if err := writeAtomic(filepath.Join(l.dir, offsetsFile), data); err != nil {
		l.log.Error("save log position", "path", l.path, "error", err)
	}
}

// copy moves on all complete lines; with final, also the rest of an unfinished one.
func (l *containerLog) copy(final bool) {
	if l.path == "" {
		return
	}
	moved := false
	for _, stream := range []string{stdoutFile, stderrFile} {
		for {
			n, err := l.copyChunk(stream, final)
			if err != nil {
				l.log.Error("copy container log", "path", l.path, "error", err)
			}
			if n == 0 || err != nil {
				break
			}
			moved = true
		}
	}
	if moved {
		l.save()
	}
}

// copyChunk copies up to 64 lines' worth and returns how many bytes it took.
func (l *containerLog) copyChunk(stream string, final bool) (int, error) {
	path := filepath.Join(l.dir, stream)
	info, err := os.Stat(path)
	if err != nil || info.Size() == l.offsets[stream] {
		return 0, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	chunk := make([]byte, min(info.Size()-l.offsets[stream], 64*maxLogLine))
	n, err := f.ReadAt(chunk, l.offsets[stream])
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	lines, taken := formatLog(chunk[:n], stream, time.Now(), final)
	if taken == 0 {
		return 0, nil
	}
	if err := appendFile(l.path, lines); err != nil {
		return 0, err
	}
	l.offsets[stream] += int64(taken)
	l.punch(f, stream)
	return taken, nil
}

// punch gives the disk space of copied output back. The file keeps its length, so writer
// and reader go on undisturbed; a file system that cannot do it keeps the bytes.
func (l *containerLog) punch(f *os.File, stream string) {
	from, to := l.punched[stream], l.offsets[stream]
	if to-from < punchAfter {
		return
	}
	if unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, from, to-from) == nil {
		l.punched[stream] = to
	}
}

// formatLog puts output into CRI's log format: time, stream, F for a whole line or P for a
// part of one, text. It returns how many bytes of the output it used; without final the
// start of a line that is not finished yet is left for later.
func formatLog(output []byte, stream string, now time.Time, final bool) (log []byte, taken int) {
	prefix := now.UTC().Format(time.RFC3339Nano) + " " + stream
	for rest := output; len(rest) > 0; rest = output[taken:] {
		line, newline, tag := rest, 0, " P "
		if i := bytes.IndexByte(rest[:min(len(rest), maxLogLine+1)], '\n'); i >= 0 {
			line, newline, tag = rest[:i], 1, " F "
		} else if len(rest) > maxLogLine {
			line = rest[:maxLogLine]
		} else if !final {
			break
		}
		log = append(log, prefix+tag...)
		log = append(append(log, line...), '\n')
		taken += len(line) + newline
	}
	return log, taken
}

// appendFile opens by path each time: kubelet renames a log away and expects a new one.
func appendFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
