package topic

import (
	"encoding/json"
	"errors"
)

// AWS's bounds of a filter policy.
const (
	maxPolicyKeys         = 5
	maxPolicyCombinations = 150
	// maxPolicyDepth is of objects in each other, $or's too; values below so many levels would count for more than all combinations.
	maxPolicyDepth = maxPolicyCombinations
)

// checkPolicy refuses a filter policy that AWS does not take: one with more than five keys, with levels although it is about attributes, or whose values,
// each counted once for each of its levels, multiply to more than 150; and one whose matchers are wrong.
func checkPolicy(text string, ofBody bool) error {
	var policy map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &policy) != nil || policy == nil {
		return errors.New("FilterPolicy: failed to parse JSON.")
	}
	if len(policy) > maxPolicyKeys {
		return errors.New("FilterPolicy: Filter policy can not have more than 5 keys")
	}
	if err := checkMatchers(text); err != nil {
		return err
	}
	combinations, err := combinationsOf(policy, ofBody, 1, maxPolicyDepth)
	if err == nil && combinations > maxPolicyCombinations {
		err = errors.New("FilterPolicy: Filter policy is too complex")
	}
	return err
}

// combinationsOf stops counting above the bound, and below so many levels more.
func combinationsOf(policy map[string]json.RawMessage, ofBody bool, level, more int) (int, error) {
	if more == 0 {
		return maxPolicyCombinations + 1, nil
	}
	combinations := 1
	for key, value := range policy {
		var below map[string]json.RawMessage
		var values []json.RawMessage
		n := 0
		switch {
		case json.Unmarshal(value, &below) == nil && below != nil:
			if !ofBody {
				return 0, errors.New("Filter policy scope MessageAttributes does not support nested filter policy")
			}
			var err error
			if n, err = combinationsOf(below, ofBody, level+1, more-1); err != nil {
				return 0, err
			}
		case json.Unmarshal(value, &values) != nil || values == nil:
			return 0, errors.New("FilterPolicy: \"" + key + "\" must be an object or an array")
		case key == "$or":
			for _, v := range values {
				var one map[string]json.RawMessage
				if json.Unmarshal(v, &one) != nil {
					return 0, errors.New("FilterPolicy: what $or has must be objects")
				}
				m, err := combinationsOf(one, ofBody, level, more-1)
				if err != nil {
					return 0, err
				}
				n += m
			}
		default:
			n = len(values) * level
		}
		combinations = min(combinations*n, maxPolicyCombinations+1)
	}
	return combinations, nil
}
