package function

// RuntimeProblem tells why a function of a runtime cannot be made here: AWS has no such
// runtime, or this machine lacks what it needs. Empty: it can.
func (s *Service) RuntimeProblem(name string) string {
	if err := checkRuntime(name); err != nil {
		return err.Message
	}
	return s.host.Missing(name)
}
