package vlog

import (
	"log/slog"
	"strings"
)

// The severities as slog levels. Levels between two of these belong to the
// next less severe name.
const (
	LevelEmer = slog.Level(12)
	LevelErr  = slog.LevelError // 8
	LevelWarn = slog.LevelWarn  // 4
	LevelInfo = slog.LevelInfo  // 0
	LevelDbg  = slog.LevelDebug // -4
)

// level is a threshold: a message passes when its own level is <= the threshold.
type level int32

const (
	levelOff level = iota
	levelEmer
	levelErr
	levelWarn
	levelInfo
	levelDbg
)

var levelNames = [...]string{"OFF", "EMER", "ERR", "WARN", "INFO", "DBG"}

func (l level) String() string { return levelNames[l] }

// fromSlog names the severity of a slog level.
func fromSlog(l slog.Level) level {
	switch {
	case l >= LevelEmer:
		return levelEmer
	case l >= LevelErr:
		return levelErr
	case l >= LevelWarn:
		return levelWarn
	case l >= LevelInfo:
		return levelInfo
	}
	return levelDbg
}

func parseLevel(s string) (level, bool) {
	for i, n := range levelNames {
		if strings.EqualFold(n, s) {
			return level(i), true
		}
	}
	return 0, false
}

// Destination is a place where messages go.
type Destination int

// The destinations, in the order of the columns of vlog/list.
const (
	Console Destination = iota
	Syslog
	File
	nDest
)

var destNames = [...]string{"console", "syslog", "file"}

func (d Destination) String() string { return destNames[d] }

func parseDest(s string) (Destination, bool) {
	for i, n := range destNames {
		if strings.EqualFold(n, s) {
			return Destination(i), true
		}
	}
	return 0, false
}

// facilities are the RFC 5424 facility names and their numbers.
var facilities = map[string]int{
	"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "syslog": 5, "lpr": 6, "news": 7,
	"uucp": 8, "clock": 9, "ftp": 11, "ntp": 12, "audit": 13, "alert": 14, "clock2": 15,
	"local0": 16, "local1": 17, "local2": 18, "local3": 19, "local4": 20, "local5": 21,
	"local6": 22, "local7": 23,
}

const (
	facilityDaemon = 3
	facilityLocal0 = 16
)

// severity is the RFC 5424 severity of a level.
func (l level) severity() int {
	switch l {
	case levelEmer:
		return 1
	case levelErr:
		return 3
	case levelWarn:
		return 4
	case levelInfo:
		return 6
	}
	return 7
}
