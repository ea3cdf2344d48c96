package guard

// PodsCPU is how much of the processors that our pods may use is used (package cpu): the median over the pods that load. More slots can do at most one
// by that times as much there, and it does not waver, as what is done in some seconds on a shared machine does: one slot used 93 % of the
// processor of pods and Redis at 128,000 rows/s and 92 to 94 % in an hour in which it did 180,000, while counts of ten seconds said that two did 1.24 and 1.40 times as much. Like PodsBusy it is no word
// on the servers; where they are on the same processors their work counts too, as more slots take from that.
func PodsCPU(hold float64) *Gauge {
	return &Gauge{Name: "pods_cpu", Own: true, Above0: true, Pods: true, Near: 1, Limits: Limits{Hold: hold, Smooth: 0.3}, Show: percent}
}
