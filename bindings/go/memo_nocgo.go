// SPDX-License-Identifier: Apache-2.0

//go:build !cgo

package memo

import (
	"context"
	"net/http"
	"time"
)

// The same doors without the library behind them, so that a build without cgo ends in a sentence and not in "build constraints exclude all Go files".
// The test of this package compares the two lists.

// Version is 0: there is no library.
func Version() uint32 { return 0 }

// Client is one identity; without cgo there is none.
type Client struct{}

func New(settings map[string]string) (*Client, error) { return nil, ErrNoCgo }

func (c *Client) Start() error { return ErrNoCgo }

func (c *Client) Wait(ctx context.Context) error { return ErrNoCgo }

func (c *Client) ApplyRules(document []byte) (report string, err error) { return "", ErrNoCgo }

func (c *Client) Drain(timeout time.Duration) error { return ErrNoCgo }

func (c *Client) Close() {}

func (c *Client) Service(name string) (*Service, error) { return nil, ErrNoCgo }

func (c *Client) Events() (*Events, error) { return nil, ErrNoCgo }

// Service is a service that this program calls.
type Service struct{}

func (s *Service) Watch(on bool) error { return ErrNoCgo }

func (s *Service) Close() {}

func (s *Service) Begin(k *Call, f *Facts) error { return ErrNoCgo }

// Call is one logical call with all its attempts.
type Call struct{ c frozenCall }

func (k *Call) Next(a *Attempt) error { return ErrNoCgo }

func (k *Call) Inject(a *Attempt, h http.Header) error { return ErrNoCgo }

func (k *Call) Report(a *Attempt, o Outcome) (again bool, err error) { return false, ErrNoCgo }

func (k *Call) End() {}

func (k *Call) Explain() (string, error) { return "", ErrNoCgo }

func (k *Call) ExplainJSON() (string, error) { return "", ErrNoCgo }

// Extract reads nothing.
func Extract(h http.Header) (Context, error) { return Context{}, ErrNoCgo }

func (x *Context) Inject(h http.Header) error { return ErrNoCgo }

func (x *Context) Left() (time.Duration, bool) { return 0, false }

func (x *Context) SetDeadline(left time.Duration) error { return ErrNoCgo }

func (x *Context) Trace() string { return "" }

// Events is the pull form of what changes.
type Events struct{}

func (e *Events) Take(ctx context.Context, out []Event) (int, error) { return 0, ErrNoCgo }

func (e *Events) Close() {}
