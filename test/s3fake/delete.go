package s3fake

import (
	"encoding/xml"
	"net/http"
)

func (c *call) deleteObject() error {
	b, err := c.s.bucket(c.bucket)
	if err != nil {
		return err
	}
	w, err := c.condition()
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := w.check(b.getLocked(c.key)); err != nil {
		return err
	}
	b.deleteLocked(c.key)
	c.w.WriteHeader(http.StatusNoContent)
	return nil
}

type deletedXML struct{ Key text }

type deleteErrorXML struct {
	Key           text
	Code, Message string
}

func (c *call) deleteObjects() error {
	b, err := c.s.bucket(c.bucket)
	if err != nil {
		return err
	}
	var ask struct {
		Quiet  bool
		Object []struct{ Key string }
	}
	if err := c.readXML(&ask); err != nil {
		return err
	}
	if len(ask.Object) == 0 || len(ask.Object) > maxList {
		return errMalformed
	}
	var doc struct {
		XMLName xml.Name `xml:"http://s3.amazonaws.com/doc/2006-03-01/ DeleteResult"`
		Deleted []deletedXML
		Error   []deleteErrorXML
	}
	for _, o := range ask.Object {
		if f := c.s.faults.pickKey(DeleteObjects, o.Key); f != nil {
			doc.Error = append(doc.Error, deleteErrorXML{plain(o.Key), f.Code, "The fault plan says so."})
			continue
		}
		b.Delete(o.Key)
		if !ask.Quiet {
			doc.Deleted = append(doc.Deleted, deletedXML{plain(o.Key)})
		}
	}
	return c.xml(http.StatusOK, doc)
}
