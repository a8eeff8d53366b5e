package main

import "testing"

func TestCheck(t *testing.T) {
	for text, good := range map[string]bool{
		`{"id":1,"result":[{"count":1}],"error":null}`:                                                           true,
		`{"error":null,"id":1,"result":[{"count":1},{}]}`:                                                        true,
		`{"id":1,"result":{"Interface":{"u":{"new":{"error":["set",[]]}}}},"error":null}`:                        true,
		`{"id":1,"error":"unknown method"}`:                                                                      false,
		`{"error":{"details":"x","error":"syntax error"},"id":1,"result":null}`:                                  false,
		`{"id":1,"result":[{"count":1},{"details":"x","error":"constraint violation"},null],"error":null}`:       false,
		`{"error":null,"id":1,"result":[{"uuid":["uuid","u"]},{"details":"x","error":"referential integrity"}]}`: false,
		`{"id":1}`: false,
	} {
		if err := check([]byte(text)); (err == nil) != good {
			t.Errorf("%s: %v", text, err)
		}
	}
}
