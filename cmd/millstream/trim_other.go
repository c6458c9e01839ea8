//go:build !linux

package main

func trimLater() {}
