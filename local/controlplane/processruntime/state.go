package processruntime

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// A sandbox and a container each have a folder in the state folder with two files:
// what kubelet asked for, and what became of it. The record is written last, so a folder
// without one is the rest of an interrupted call.
const (
	configFile = "config.json"
	recordFile = "record.json"
)

// writeAtomic replaces a file such that after a crash it holds the old or the new bytes.
func writeAtomic(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func saveRecord(dir string, record any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return writeAtomic(filepath.Join(dir, recordFile), data)
}

func saveConfig(dir string, config proto.Message) error {
	data, err := protojson.Marshal(config)
	if err != nil {
		return err
	}
	return writeAtomic(filepath.Join(dir, configFile), data)
}

// createEntry makes the folder of a new sandbox or container.
func createEntry(dir string, config proto.Message, record any) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return errors.Join(saveConfig(dir, config), saveRecord(dir, record))
}

// loadEntry reads a folder back into config and record.
func loadEntry(dir string, config proto.Message, record any) error {
	data, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, record); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, recordFile), err)
	}
	if data, err = os.ReadFile(filepath.Join(dir, configFile)); err != nil {
		return err
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, config)
}
